"""What is compared: anything that can work through the jobs of a round."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from workload import Item


class Run(NamedTuple):
    """One round of one contender."""

    tokens: int
    seconds: float

    @property
    def tokens_per_s(self) -> float:
        """Generated tokens per second of wall time."""
        return self.tokens / self.seconds


class Contender(Protocol):
    """Something that is loaded and warm."""

    def run(self, items: Sequence[Item]) -> Run:
        """Work through the items; returns when the last of them has ended."""


class Spread(NamedTuple):
    """What several rounds gave."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Median and range."""
        return cls(statistics.median(values), min(values), max(values))

    def rounded(self, digits: int) -> dict[str, float]:
        """For JSON."""
        return {name: round(value, digits) for name, value in self._asdict().items()}


class Entry(NamedTuple):
    """A contender with its name, and the share of a round that it gets."""

    name: str
    contender: Contender
    choose: Callable[[Sequence[Item]], Sequence[Item]] = lambda items: items


def alternate(
    entries: Sequence[Entry],
    rounds: Sequence[Sequence[Item]],
    on_run: Callable[[str, Run], None],
) -> Mapping[str, list[Run]]:
    """All contenders in turn, round after round, in an order that turns around each time.

    The machine's mood changes within minutes; what is compared runs within the same minute.
    """
    runs: dict[str, list[Run]] = {entry.name: [] for entry in entries}
    for number, items in enumerate(rounds):
        for entry in entries if number % 2 == 0 else reversed(entries):
            run = entry.contender.run(entry.choose(items))
            runs[entry.name].append(run)
            on_run(entry.name, run)
    return runs


def ratios(runs: Mapping[str, Sequence[Run]], over: str, under: str) -> Spread:
    """Tokens/s of one contender over another's, round by round."""
    pairs = zip(runs[over], runs[under], strict=True)
    return Spread.of([mine.tokens_per_s / theirs.tokens_per_s for mine, theirs in pairs])
