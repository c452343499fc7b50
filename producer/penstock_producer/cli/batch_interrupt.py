"""Ctrl-C and SIGTERM: before a batch begins they leave, while it is watched they ask to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, Self

_BASE: Final = 128  # a shell's exit status of a command that a signal ended, less its number


@contextmanager
def tidy_exit() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does, so that what it keeps on disk goes with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(_BASE + number)


class Interrupt:
    """``asked`` is set by the first signal; the next one ends the command as if nobody listened."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._number = signal.SIGINT
        self._before: dict[signal.Signals, Any] = {}

    @property
    def exit_status(self) -> int:
        """What the command exits with after it was asked."""
        return _BASE + self._number

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._restore()

    def _ask(self, number: int, _: FrameType | None) -> None:
        self._number = signal.Signals(number)
        self.asked.set()
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
