"""Figures, each with where it is from: measured on the ledger's jobs, or assumed."""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final, NamedTuple

from penstock_shared.errors import InvalidRequest

DEFAULT: Final = "assumed (default)"
GIVEN: Final = "assumed (given)"
SETTINGS: Final = "assumed (settings)"


class Figure(NamedTuple):
    """A number and its origin."""

    value: Fraction
    mark: str
    jobs: int = 0  # that it was measured on


def measured(value: Fraction, jobs: int) -> Figure:
    """A figure of the ledger's, and how many jobs it is of."""
    return Figure(value, f"measured ({jobs:,} jobs)", jobs)


def number(text: str, option: str, *, least: Fraction = Fraction(0), most: int | None = None,
           above: bool = False) -> Fraction:  # fmt: skip
    """Read an option exactly. Raises InvalidRequest outside of ``least`` to ``most``.

    With ``above``, ``least`` itself is too little.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise InvalidRequest(f"{option}: {text!r} is no number") from None
    if not value.is_finite() or value < least or (above and value == least):
        raise InvalidRequest(f"{option}: {text} is too small")
    if most is not None and value > most:
        raise InvalidRequest(f"{option}: {text} is more than {most}")
    return Fraction(value)


def by_tier(
    texts: Iterable[str], option: str, tiers: Iterable[str], **bounds: Fraction | int | bool
) -> dict[str, Fraction]:
    """Read ``TIER=NUMBER`` options. Raises InvalidRequest for a tier that there is not."""
    known, found = list(tiers), {}
    for text in texts:
        tier, equals, value = text.partition("=")
        if not equals or tier not in known:
            raise InvalidRequest(f"{option}: write TIER=NUMBER with one of {', '.join(known)}")
        found[tier] = number(value, option, **bounds)  # type: ignore[arg-type]
    return found


def plain(value: Fraction) -> str:
    """A ratio as a decimal of at most 12 digits behind the point."""
    scaled = round(value * 10**12)
    text = format(Decimal(scaled).scaleb(-12), "f").rstrip("0").rstrip(".")
    return text or "0"
