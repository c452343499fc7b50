"""How high a rate may be that was seen in a sample: Clopper and Pearson's exact bound (1934).

Callers' machines have no scipy; the tests compare with it.
"""

import math
from functools import lru_cache
from typing import Final

CONFIDENCE: Final = 0.95
_HALVINGS: Final = 60
_ENOUGH: Final = 1e-15
_TINY: Final = 1e-300
_MOST_TERMS: Final = 100_000


@lru_cache(maxsize=8_192)
def upper_bound(seen: int, of: int) -> float | None:
    """The rate that the true one does not exceed, with 95 % confidence; None without a sample.

    One-sided: with the true rate above it, ``seen`` or fewer would come with a probability of
    less than 5 %.
    """
    if of == 0:
        return None
    if seen >= of:
        return 1.0
    low, high = seen / of, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _beta(middle, seen + 1, of - seen) < CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _beta(x: float, a: int, b: int) -> float:
    """The regularized incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return min(1.0, max(0.0, x))
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):  # where the fraction converges fast
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: int, b: int) -> float:
    # Its continued fraction, by Lentz's method (Numerical Recipes, 6.4).
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _not_zero(1 + step * d)
            c = _not_zero(1 + step / c)
            value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
