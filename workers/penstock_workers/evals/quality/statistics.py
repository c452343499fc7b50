"""How sure a score is, and whether two scores on the same cases differ."""

from collections.abc import Sequence
from typing import NamedTuple

from scipy.stats import binomtest, norm


class Interval(NamedTuple):
    """A share or a difference of shares, with the bounds of its confidence interval."""

    value: float
    low: float
    high: float


def share(right: int, of: int, confidence: float = 0.95) -> Interval:
    """Share of right answers with Wilson's interval (Wilson 1927)."""
    if of == 0:
        return Interval(0.0, 0.0, 1.0)
    bounds = binomtest(right, of).proportion_ci(confidence, method="wilson")
    return Interval(right / of, float(bounds.low), float(bounds.high))


def difference(ours: Sequence[bool], theirs: Sequence[bool], confidence: float = 0.95) -> Interval:
    """Difference of two scores on the same cases, ours minus theirs.

    The interval is the adjusted Wald interval for paired shares of Bonett and Price (2012), which
    holds its confidence also for few cases and for differences near zero.
    """
    won, lost = _discordant(ours, theirs)
    count = len(ours)
    if count == 0:
        return Interval(0.0, -1.0, 1.0)
    gain, loss = (won + 1) / (count + 2), (lost + 1) / (count + 2)
    error = float(norm.ppf((1 + confidence) / 2)) * _root((gain + loss - (gain - loss) ** 2), count)
    middle = gain - loss
    return Interval((won - lost) / count, max(-1.0, middle - error), min(1.0, middle + error))


def p_value(ours: Sequence[bool], theirs: Sequence[bool]) -> float:
    """Chance of a difference at least this large between equals: McNemar's exact test."""
    won, lost = _discordant(ours, theirs)
    return float(binomtest(min(won, lost), won + lost).pvalue) if won + lost else 1.0


def significant(p_values: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Which of many differences are significant together, after Holm (1979), in their order.

    The chance that even one equal pair is called different stays under ``alpha``.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    found = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        found[index] = True
    return found


def _discordant(ours: Sequence[bool], theirs: Sequence[bool]) -> tuple[int, int]:
    pairs = list(zip(ours, theirs, strict=True))
    return sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)


def _root(variance: float, count: int) -> float:
    return float((variance / (count + 2)) ** 0.5)
