"""What a person sees while a drill runs: a picture on a terminal, lines elsewhere."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from penstock_shared.words import JobState
from penstock_workers.drill.injection import Happened
from penstock_workers.drill.schedule import PlannedFault

_FAULTS_SHOWN: Final = 8
_PICTURE_S: Final = 0.25
_LINE_S: Final = 10.0
_RATE_S: Final = 5.0
_COLOURS: Final = {
    JobState.QUEUED: "yellow",
    JobState.RUNNING: "cyan",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "magenta",
    JobState.DEAD: "red",
}


class Picture(NamedTuple):
    """How things stand at one moment."""

    phase: str
    at_s: float
    seconds: float  # for so long things go wrong
    wanted: int  # jobs
    jobs: Mapping[JobState, int] | None  # None: the ledger does not answer
    workers: Mapping[str, str]  # "up", "frozen", "starting" or "down"

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return sum(count for state, count in (self.jobs or {}).items() if state.is_terminal)

    @property
    def left_s(self) -> float:
        """Seconds until the faults are over."""
        return max(0.0, self.seconds - self.at_s)


class View(Protocol):
    """Told what happens."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def say(self, text: str) -> None:
        """Something else began."""

    def fault(self, happened: Happened) -> None:
        """A fault was begun."""

    def left_out(self, planned: PlannedFault) -> None:
        """A fault was not begun: there was nothing to hurt at its time."""

    def show(self, picture: Picture) -> None:
        """How things stand; called many times a second."""


class _Rate:
    """Jobs that ended per second, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self.per_s = 0.0

    def note(self, picture: Picture) -> None:
        """Take a picture into account, unless the ledger did not answer."""
        if picture.jobs is None:
            return
        self._seen.append((picture.at_s, picture.ended))
        while len(self._seen) > 1 and self._seen[1][0] <= picture.at_s - _RATE_S:
            self._seen.popleft()
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        self.per_s = (last - first) / (last_s - first_s) if last_s > first_s else 0.0


class Lines:
    """Plain lines, for a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rate = _Rate()
        self._next_s = _LINE_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def fault(self, happened: Happened) -> None:
        """Print it."""
        self._print(_fault_line(happened))

    def left_out(self, planned: PlannedFault) -> None:
        """Print it."""
        self._print(f"{planned.at_s:6.1f} s  {planned.kind}: left out, there was nothing to hurt")

    def show(self, picture: Picture) -> None:
        """Print the counts now and then."""
        self._rate.note(picture)
        if picture.at_s >= self._next_s:
            self._next_s = picture.at_s + _LINE_S
            counts = ", ".join(f"{count} {state}" for state, count in _counts(picture))
            up = sum(state == "up" for state in picture.workers.values())
            self._print(f"{picture.at_s:6.1f} s  {counts or 'the ledger does not answer'}; "
                        f"{self._rate.per_s:.0f}/s; {up} workers up")  # fmt: skip

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


class Screen:
    """A picture that is drawn again and again, by the caller's own thread."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._faults: deque[Happened] = deque(maxlen=_FAULTS_SHOWN)
        self._count = 0
        self._rate = _Rate()
        self._next = 0.0
        self._jobs: Mapping[JobState, int] | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Draw it alone, until there is a picture."""
        self._live.update(Panel(text, title="penstock drill", title_align="left"), refresh=True)

    def fault(self, happened: Happened) -> None:
        """Draw it with the next picture."""
        self._count += 1
        self._faults.append(happened)
        self._next = 0.0

    def left_out(self, planned: PlannedFault) -> None:
        """The table at the end has the number of those that happened."""

    def show(self, picture: Picture) -> None:
        """Draw it, if the last picture is old enough."""
        self._rate.note(picture)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PICTURE_S
        self._live.update(self._drawn(picture), refresh=True)

    def _drawn(self, picture: Picture) -> RenderableType:
        head = Table.grid(padding=(0, 2), expand=True)
        head.add_column()
        head.add_column(ratio=1)
        head.add_column(justify="right")
        done = ProgressBar(total=picture.seconds, completed=min(picture.at_s, picture.seconds))
        left = f"{picture.left_s:.0f} s left" if picture.left_s else f"{picture.at_s:.0f} s"
        head.add_row(Text(picture.phase, style="bold"), done, left)
        body = Table.grid(padding=(0, 6, 0, 0))
        body.add_row(self._job_table(picture), _worker_table(picture))
        parts = Group(head, "", body, "", self._fault_table())
        return Panel(parts, title="penstock drill", title_align="left")

    def _job_table(self, picture: Picture) -> RenderableType:
        is_away = picture.jobs is None
        picture = picture._replace(jobs=self._jobs if is_away else picture.jobs)
        self._jobs = picture.jobs
        table = _table(f"{picture.ended:,} of {picture.wanted:,} jobs ended", "", "")
        table.columns[1].justify = "right"
        for state, count in _counts(picture):
            table.add_row(Text(state, style=_COLOURS.get(state, "")), f"{count:,}")
        table.add_row("answered per second", f"{self._rate.per_s:.0f}", style="dim")
        if is_away:
            table.add_row(Text("the ledger does not answer", style="red"))
        return table

    def _fault_table(self) -> RenderableType:
        table = _table(f"the last of {self._count} faults", "", "", "", "")
        for happened in reversed(self._faults):
            lasts = f"{happened.lasts_s:.1f} s" if happened.lasts_s else ""
            what = happened.kind.replace("_", " ")
            table.add_row(f"{happened.at_s:.1f} s", what, happened.target, lasts)
        return table


def _worker_table(picture: Picture) -> RenderableType:
    table = _table("workers", "", "")
    for name, state in picture.workers.items():
        table.add_row(name, Text(state, style="green" if state == "up" else "red"))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None,
                  show_header=False, padding=(0, 2, 0, 0))  # fmt: skip
    for column in columns:
        table.add_column(column)
    return table


def _counts(picture: Picture) -> Sequence[tuple[JobState, int]]:
    jobs = picture.jobs or {}
    return [(state, jobs[state]) for state in JobState if jobs.get(state)]


def _fault_line(happened: Happened) -> str:
    lasts = f" for {happened.lasts_s:.1f} s" if happened.lasts_s else ""
    return f"{happened.at_s:6.1f} s  {happened.kind}: {happened.target}{lasts}"
