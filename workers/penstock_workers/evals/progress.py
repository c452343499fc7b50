"""Progress of an evaluation: who is told, and bars on the terminal."""

from types import TracebackType
from typing import Protocol, Self

from rich import progress
from rich.console import Console


class Progress(Protocol):
    """Told about every answer."""

    def expect(self, name: str, total: int, done: int) -> None:
        """An engine has ``total`` cases, ``done`` of them answered by an earlier run."""

    def advance(self, name: str) -> None:
        """One more of its cases is answered."""


class Bars:
    """Bars on standard error while measuring; implements the Progress protocol."""

    def __init__(self, console: Console) -> None:
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, progress.TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def expect(self, name: str, total: int, done: int) -> None:
        """Show a bar with ``total`` cases, ``done`` of them behind it already."""
        if name in self._tasks:
            self._bars.update(self._tasks[name], total=total, completed=done)
        else:
            self._tasks[name] = self._bars.add_task(name, total=total, completed=done)

    def advance(self, name: str) -> None:
        """Move a bar on by one case."""
        self._bars.advance(self._tasks[name])
