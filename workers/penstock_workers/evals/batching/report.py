"""What ``eval batching`` found, to be written as JSON and read again; and where the knee is."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from penstock_workers.evals.reports import Frozen, Spread

KNEE_SHARE: Final = 0.9


class Point(Frozen):
    """So many sequences at once: output tokens per second, and seconds until an answer is there.

    ``failed`` counts answers with an error over all rounds; they have no latency.
    """

    concurrency: int
    cases: int
    failed: int
    tokens_per_s: Spread
    p50_s: float
    p95_s: float


class BatchingReport(Frozen):
    """All that ``eval batching`` found.

    ``knee`` is the smallest measured concurrency that reaches 90 % of the best throughput: more
    sequences at once make answers wait longer and give little in return. ``mean_tokens`` are
    tokens of prompt and answer together.
    """

    suite: str
    suite_digest: str
    engine: str
    model: str
    options: dict[str, Any]
    rounds: int
    kv_cache_tokens: int | None
    mean_tokens: float
    points: tuple[Point, ...]
    knee: int

    @property
    def at_knee(self) -> Point:
        """The measurement at the knee."""
        return next(point for point in self.points if point.concurrency == self.knee)

    @property
    def toml(self) -> str:
        """The line for penstock.toml."""
        return f"max_num_seqs = {self.knee}"

    @property
    def sequences_in_cache(self) -> int | None:
        """Sequences of the mean length that the KV cache holds; None where vLLM does not say."""
        return (
            None if self.kv_cache_tokens is None else int(self.kv_cache_tokens / self.mean_tokens)
        )

    @property
    def caveat(self) -> str | None:
        """What keeps the knee from being the best setting; None when nothing does."""
        held = self.sequences_in_cache
        if held is not None and held < self.knee:
            return (
                f"the KV cache holds {held:,} sequences of the suite's mean length "
                f"({self.mean_tokens:,.0f} tokens), fewer than {self.knee}: give it more memory, "
                f"or set max_num_seqs = {max(1, held)}"
            )
        if self.knee == self.points[-1].concurrency and len(self.points) > 1:
            return f"throughput still grows at {self.knee}: measure with a larger --most"
        return None


def knee_of(points: Sequence[Point]) -> int:
    """The smallest concurrency that reaches 90 % of the best throughput."""
    best = max(point.tokens_per_s.median for point in points)
    reached = (p for p in points if p.tokens_per_s.median >= KNEE_SHARE * best)
    return min(point.concurrency for point in reached)


def gains(points: Sequence[Point]) -> tuple[float | None, ...]:
    """Throughput of each point over the one before it; None for the first."""
    steps = (b.tokens_per_s.median / a.tokens_per_s.median for a, b in pairwise(points))
    return (None, *steps)
