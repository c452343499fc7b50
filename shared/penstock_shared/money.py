"""Money is an integer number of picodollars (10**-12 USD), so that sums are exact.

One engine step on a cheap tier costs some 100,000 picodollars; a signed 64-bit column holds
nine million dollars a row. Floats never hold money.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

PICODOLLARS_PER_DOLLAR: Final = 10**12
NANOSECONDS_PER_HOUR: Final = 3600 * 10**9


def from_usd(amount: Decimal) -> int:
    """Convert dollars to picodollars; finer fractions are rounded half to even."""
    return int((amount * PICODOLLARS_PER_DOLLAR).to_integral_value(ROUND_HALF_EVEN))


def to_usd(picodollars: int) -> Decimal:
    """Convert picodollars to dollars, exactly."""
    return Decimal(picodollars).scaleb(-12)


def usd_text(amount: Decimal) -> str:
    """Write dollars as a plain decimal number, exact, without exponent or trailing zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def cost_of(price_per_hour: int, elapsed_ns: int) -> int:
    """Cost of the first ``elapsed_ns`` nanoseconds at ``price_per_hour`` picodollars an hour.

    Rounded down; the cost of a span is the difference of two calls, so spans that meet add up
    to the whole without a rounding error.
    """
    return price_per_hour * elapsed_ns // NANOSECONDS_PER_HOUR
