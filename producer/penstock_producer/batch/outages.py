"""An outage of the ledger costs time, and nothing else."""

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from penstock_shared.errors import LedgerUnavailable

log = logging.getLogger(__name__)

_FIRST_S: Final = 0.2
_LONGEST_S: Final = 5.0
_Outcome = TypeVar("_Outcome")


def patiently(work: Callable[[], _Outcome], stop: threading.Event) -> _Outcome:
    """Do ``work`` until the ledger answers; when ``stop`` is set, its error is raised."""
    pause_s = _FIRST_S
    while True:
        try:
            return work()
        except LedgerUnavailable as error:
            if pause_s == _FIRST_S:
                log.warning("%s; the batch waits for it", error.message)
            if stop.wait(pause_s):
                raise
            pause_s = min(_LONGEST_S, 2 * pause_s)
