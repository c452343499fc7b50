"""Trust: whether a would-be hit may be served, by what comparisons have shown of others like it.

Would-be hits of one kind make a band: ``words`` where the verifier proved the same words, and
rewordings by cosine. What is known of a band is how many cached answers were compared with the
engine's own, and how many of them differed. A band is open while the upper bound of its rate of
differing answers (Clopper-Pearson, one-sided, 95 %) is at most ``max_false_hit_rate``, twice:

For the tier as a whole, counting what was measured on the shipped pairs (for the same words, and
for rewordings near enough) and all that was compared since. Partitions are often small, because
every chat has its own, and would learn too late by themselves.

For the partition, whose own comparisons come on top of a start: as many right answers as were
measured, or, where nothing was, as many as were compared in other partitions, 300 at most. So a
partition that is worse than the others closes on its own.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from penstock_shared import bounds

WORDS: Final = "words"
_EDGES: Final = (0.7, 0.8, 0.9, 0.95)
_BANDS: Final = ("0.00", "0.70", "0.80", "0.90", "0.95")
_TITLES: Final = {
    WORDS: "the same words",
    "0.00": "below 0.70",
    "0.70": "0.70-0.80",
    "0.80": "0.80-0.90",
    "0.90": "0.90-0.95",
    "0.95": "0.95 and more",
}
_MOST_BORROWED: Final = 300  # comparisons of others that count for a partition
_MOST_COUNTS: Final = 100_000  # partitions and bands in memory


class Count(NamedTuple):
    """Comparisons, and how many of them differed."""

    compared: int = 0
    differed: int = 0

    def plus(self, other: "Count") -> "Count":
        """Both together."""
        return Count(self.compared + other.compared, self.differed + other.differed)


NOTHING: Final = Count()
_MEASURED_WORDS: Final = Count(3_000, 0)
_MEASURED_REWORDINGS: Final = Count(300, 0)


class Compared(Protocol):
    """What is learned from one comparison."""

    @property
    def partition(self) -> str:
        """Of the cache."""

    @property
    def band(self) -> str:
        """What kind of hit it was."""

    @property
    def agreed(self) -> bool:
        """True when the engine said the same."""


def band_of(similarity: float, *, proof: bool) -> str:
    """The band of a would-be hit: proven to be the same words, or a rewording of this cosine."""
    return WORDS if proof else _BANDS[bisect_right(_EDGES, similarity)]


def upper_bound(count: Count) -> float:
    """With 95 % confidence, no larger share of the hits is wrong."""
    bound = bounds.upper_bound(count.differed, count.compared)
    return 1.0 if bound is None else bound


class Trust:
    """What is known of all bands of a tier. One thread may learn while others ask."""

    def __init__(self, *, max_false_hit_rate: float, strict_threshold: float) -> None:
        self._max_rate = max_false_hit_rate
        self._strict_threshold = strict_threshold
        self._counts: dict[tuple[str, str], Count] = {}
        self._of_tier: dict[str, Count] = {}

    def learn(self, comparisons: Iterable[Compared]) -> None:
        """Take up comparisons, each once."""
        for compared in comparisons:
            one = Count(1, 0 if compared.agreed else 1)
            place = (compared.partition, compared.band)
            self._counts[place] = self._counts.get(place, NOTHING).plus(one)
            self._of_tier[compared.band] = self._of_tier.get(compared.band, NOTHING).plus(one)
        if len(self._counts) > _MOST_COUNTS:
            self._forget()

    def is_open(self, partition: str, band: str) -> bool:
        """True when hits of this band may be served."""
        return self.bound(partition, band) <= self._max_rate

    def bound(self, partition: str, band: str) -> float:
        """With 95 % confidence, no larger share of the hits of this band is wrong."""
        own = self.count(partition, band)
        of_tier = self.of_tier(band)
        measured = self._measured(band)
        others = of_tier.compared - own.compared
        start = measured if measured.compared else Count(min(others, _MOST_BORROWED))
        return max(upper_bound(own.plus(start)), upper_bound(of_tier.plus(measured)))

    def count(self, partition: str, band: str) -> Count:
        """The partition's own evidence."""
        return self._counts.get((partition, band), NOTHING)

    def of_tier(self, band: str) -> Count:
        """The evidence of all partitions together."""
        return self._of_tier.get(band, NOTHING)

    def doubt(self, partition: str, band: str) -> str:
        """Why hits of a closed band are held back, in a few words."""
        own = self.count(partition, band)
        counted = f"{own.differed} of {own.compared} differed"
        return f"{_TITLES.get(band, band)} is not proven yet ({counted})"

    def _measured(self, band: str) -> Count:
        """What was measured before this tier began."""
        if band == WORDS:
            return _MEASURED_WORDS
        is_near = band in _BANDS and float(band) >= self._strict_threshold
        return _MEASURED_REWORDINGS if is_near else NOTHING

    def _forget(self) -> None:
        """Forget the older half; a partition that had a wrong answer stays as long as it can."""
        wrong = {place: count for place, count in self._counts.items() if count.differed}
        newer = list(self._counts.items())[-_MOST_COUNTS // 2 :]
        kept = dict(list(wrong.items())[-_MOST_COUNTS // 2 :])
        self._counts = {**kept, **dict(newer)}
