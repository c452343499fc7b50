"""Work beside the thread that started it; what goes wrong there is raised here."""

import threading
from collections.abc import Callable


class Background:
    """Runs ``work`` in a thread from ``start`` on."""

    def __init__(self, work: Callable[[], object], name: str) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it has begun and not ended."""
        return self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until it has ended, or the time is over."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def raise_error(self) -> None:
        """Raise what the work raised, if it did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
            self._error = error
