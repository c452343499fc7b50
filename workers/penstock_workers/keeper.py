"""The keeper: messages that this worker holds are not given to another while it lives.

Redis has no unacknowledged messages: kombu keeps a list of them and repeats what has stood there
for too long. Renewing their time keeps long jobs from being delivered twice, and lets the time be
short, so that the messages of a killed worker are soon delivered again.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from celery import Celery

from penstock_shared.broker import renew_deliveries
from penstock_shared.errors import BrokerUnavailable

log = logging.getLogger(__name__)


class Keeper:
    """A thread that renews the time of held messages."""

    def __init__(self, app: Celery, held_tags: Callable[[], Sequence[str]], every_s: float) -> None:
        self._app = app
        self._held_tags = held_tags
        self._every_s = every_s
        self._stopped = threading.Event()

    def run(self) -> None:
        """Renew until stopped."""
        while not self._stopped.wait(self._every_s):
            try:
                renew_deliveries(self._app, self._held_tags())
            except BrokerUnavailable as error:
                log.warning("held messages may be repeated: %s", error)
            except Exception:
                log.exception("held messages cannot be renewed")

    def stop(self) -> None:
        """Let ``run`` return."""
        self._stopped.set()
