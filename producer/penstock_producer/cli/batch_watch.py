"""The progress of a batch: a display that stays in place, or lines of a log."""

import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from penstock_producer.batch.running import Progress
from penstock_producer.batch.time_left import Pace, Sample
from penstock_producer.cli import batch_words as words

_LOG_EVERY_S: Final = 10.0
_ASK_EVERY_S: Final = 5.0

IdleTiers = Callable[[Progress], Sequence[str]]


class Watch:
    """Shows what a batch reports.

    ``idle_tiers`` says which tiers have lines and no worker; it is asked every five seconds.
    """

    def __init__(
        self,
        console: Console,
        idle_tiers: IdleTiers,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._ask = idle_tiers
        self._seconds = seconds
        self._pace = Pace()
        self._idle: Sequence[str] = ()
        self._asked_at = -math.inf
        self._logged_at = seconds()
        self._live = (
            Live(console=console, transient=True, refresh_per_second=4)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def read(self, share: float | None, lines: int) -> None:
        """The input is being checked; of what share is known or not."""
        part = "" if share is None else f", {share:.0%}"
        line = f"reading: {lines:,} lines{part}"
        self._show(Text(line), line)

    def run(self, progress: Progress) -> None:
        """The batch runs, or stands still."""
        now = self._seconds()
        self._pace.add(Sample(now, progress.settled_here, progress.tokens_here))
        if now - self._asked_at >= _ASK_EVERY_S:
            self._asked_at, self._idle = now, self._ask(progress)
        left = self._pace.left(progress.total - words.ended(progress))
        facts = words.progress_in_words(progress, left, self._pace.tokens_per_s(), self._idle)
        self._show(display(progress, facts), facts)

    def _show(self, drawn: RenderableType, line: str) -> None:
        if self._live is not None:
            self._live.update(drawn)
        elif self._seconds() - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = self._seconds()
            self._console.print(line, markup=False, soft_wrap=True)


def display(progress: Progress, facts: str) -> RenderableType:
    """A bar over the facts."""
    bar = Table.grid(expand=True, padding=(0, 1))
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True)
    done = words.ended(progress)
    share = f"{done / progress.total:.1%}" if progress.total else "100%"
    bar.add_row(ProgressBar(total=max(1, progress.total), completed=done), share)
    return Group(bar, Text(facts))
