"""How far measurements lie apart."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, TypeVar

Figure = TypeVar("Figure", Fraction, float)

_LOW: Final = Fraction(1, 10)
_HIGH: Final = Fraction(9, 10)


def inner_band(values: Sequence[Figure]) -> tuple[Figure, Figure]:
    """The 10 % and the 90 % quantile of at least one value, between neighbours by proportion."""
    ordered = sorted(values)
    return _quantile(ordered, _LOW), _quantile(ordered, _HIGH)


def _quantile(ordered: Sequence[Figure], share: Fraction) -> Figure:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    part = type(ordered[0])(place - below)
    return ordered[below] + part * (ordered[above] - ordered[below])
