"""Patience: what needs the ledger is tried again until the ledger is back."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, before_sleep_log, retry_if_exception_type, stop_when_event_set
from tenacity.wait import wait_random_exponential

from penstock_shared.errors import LedgerUnavailable

log = logging.getLogger(__name__)
Value = TypeVar("Value")


class Patience:
    """Repeats calls that fail with LedgerUnavailable; gives up only when told to."""

    def __init__(self, *, max_pause_s: float = 2.0) -> None:
        self._given_up = threading.Event()
        self._retrying = Retrying(
            retry=retry_if_exception_type(LedgerUnavailable),
            wait=wait_random_exponential(multiplier=0.1, max=max_pause_s),
            stop=stop_when_event_set(self._given_up),
            before_sleep=before_sleep_log(log, logging.WARNING),
            reraise=True,
        )

    def call(
        self, function: Callable[[], Value], *, before_again: Callable[[], object] = lambda: None
    ) -> Value:
        """The function's value, once the ledger answers.

        ``before_again`` clears away what a try may have done that failed: it may have been written
        although the connection broke.
        """
        is_first = True

        def once() -> Value:
            nonlocal is_first
            if not is_first:
                before_again()
            is_first = False
            return function()

        return self._retrying.copy()(once)

    def give_up(self) -> None:
        """Let calls that fail from now on raise their error."""
        self._given_up.set()
