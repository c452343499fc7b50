"""How long a batch will still take: an interval from how evenly its lines have ended so far."""

from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

from penstock_producer.batch.spread import inner_band

_MEMORY_S: Final = 300.0
_WINDOWS: Final = 10
_LEAST_WINDOW_S: Final = 1.0
_LEAST_LINES: Final = 20
_LEAST_GAP_S: Final = 0.25  # samples that lie closer are one


class Sample(NamedTuple):
    """How many lines had ended, and answer tokens been written, after so many seconds."""

    seconds: float
    ended: int
    tokens: int = 0


class TimeLeft(NamedTuple):
    """An interval in seconds; without ``high_s`` nobody can say how long at the most."""

    low_s: float
    high_s: float | None


class Pace:
    """The samples of the last five minutes."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque()

    def add(self, sample: Sample) -> None:
        """Remember a sample; seconds and counts only grow, or all begin anew."""
        samples = self._samples
        if samples and (sample.seconds < samples[-1].seconds or sample.ended < samples[-1].ended):
            samples.clear()
        if len(samples) > 1 and sample.seconds - samples[-2].seconds < _LEAST_GAP_S:
            samples.pop()
        samples.append(sample)
        while len(samples) > 1 and samples[1].seconds <= sample.seconds - _MEMORY_S:
            samples.popleft()

    def left(self, remaining: int) -> TimeLeft | None:
        """How long so many lines will take."""
        return time_left(list(self._samples), remaining)

    def tokens_per_s(self) -> float | None:
        """Answer tokens written per second; None before there are two samples."""
        if not self._samples:
            return None
        first, last = self._samples[0], self._samples[-1]
        span_s = last.seconds - first.seconds
        return (last.tokens - first.tokens) / span_s if span_s >= _LEAST_WINDOW_S else None


def time_left(samples: list[Sample], remaining: int) -> TimeLeft | None:
    """An interval that holds if lines go on to end as slowly and as fast as they have.

    The time of the samples is cut into ten windows; the rates of the slowest and the fastest
    tenth of them are left out, and the others bound the interval. None: less than ten seconds or
    20 lines are no evidence.
    """
    if not samples:
        return None
    span_s = samples[-1].seconds - samples[0].seconds
    ended = samples[-1].ended - samples[0].ended
    if span_s < _WINDOWS * _LEAST_WINDOW_S or ended < _LEAST_LINES:
        return None
    slow, fast = inner_band(_rates(samples, span_s / _WINDOWS))
    low_s = remaining / max(fast, ended / span_s)
    return TimeLeft(low_s, remaining / slow if slow > 0 else None)


def _rates(samples: list[Sample], width_s: float) -> list[float]:
    """Lines per second in each window, between samples by proportion."""
    start = samples[0].seconds
    borders = [_ended_at(samples, start + number * width_s) for number in range(_WINDOWS + 1)]
    return [(after - before) / width_s for before, after in pairwise(borders)]


def _ended_at(samples: list[Sample], seconds: float) -> float:
    for earlier, later in pairwise(samples):
        if earlier.seconds < later.seconds and seconds <= later.seconds:
            part = (seconds - earlier.seconds) / (later.seconds - earlier.seconds)
            return earlier.ended + part * (later.ended - earlier.ended)
    return samples[-1].ended
