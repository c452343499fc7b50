"""Hits, right and wrong, at a threshold; and the same over all thresholds."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from scipy.stats import binomtest

from penstock_workers.cache.evaluating.judging import Judged

_CONFIDENCE = 0.95

Rule = Callable[[Judged], bool]


def ours(judged: Judged) -> bool:
    """The verifier decides among what similarity nominates."""
    return judged.accepted


def bare(_: Judged) -> bool:
    """Similarity alone decides."""
    return True


def is_hit(judged: Judged, rule: Rule, threshold: float) -> bool:
    """Whether the answer stored under b would be served for a; ``threshold`` is a cosine."""
    return judged.similarity is not None and judged.similarity >= threshold and rule(judged)


class Counts(NamedTuple):
    """How many pairs there are, and how many of them are hits."""

    pairs: int
    same: int
    right: int  # hits between pairs that are the same
    wrong: int

    @property
    def hits(self) -> int:
        """Right and wrong."""
        return self.right + self.wrong

    @property
    def precision(self) -> float | None:
        """Share of the hits that are right; None without hits."""
        return self.right / self.hits if self.hits else None

    @property
    def recall(self) -> float | None:
        """Share of the same pairs that are hits; None where no pair is the same."""
        return self.right / self.same if self.same else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Precision's exact 95 % interval (Clopper and Pearson 1934); None without hits."""
        if not self.hits:
            return None
        bounds = binomtest(self.right, self.hits).proportion_ci(_CONFIDENCE, method="exact")
        return float(bounds.low), float(bounds.high)


def count(judged: Iterable[Judged], rule: Rule, threshold: float) -> Counts:
    """Count the hits of a rule at a threshold."""
    pairs = same = right = wrong = 0
    for one in judged:
        hit = is_hit(one, rule, threshold)
        pairs += 1
        same += one.pair.same
        right += hit and one.pair.same
        wrong += hit and not one.pair.same
    return Counts(pairs, same, right, wrong)


class Point(NamedTuple):
    """Recall and precision of all hits from this cosine upwards."""

    threshold: float
    recall: float
    precision: float


def sweep(judged: Sequence[Judged], rule: Rule) -> list[Point]:
    """One point for each cosine that a hit has, from the highest down; recall never falls.

    Empty when no pair is the same, or none can be a hit.
    """
    same = sum(one.pair.same for one in judged)
    ranked = sorted(
        ((one.similarity, one.pair.same) for one in judged if is_hit(one, rule, -1.0)),
        key=lambda hit: -(hit[0] or 0.0),
    )
    points: list[Point] = []
    right = hits = 0
    for similarity, group in itertools.groupby(ranked, key=lambda hit: hit[0]):
        labels = [label for _, label in group]
        right, hits = right + sum(labels), hits + len(labels)
        if similarity is not None and same:
            points.append(Point(similarity, right / same, right / hits))
    return points
