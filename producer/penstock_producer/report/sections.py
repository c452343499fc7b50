"""What a report is made of: sections with rows, whatever shows them.

Money in cells is picodollars; shares are between 0 and 1; None: there is nothing to say.
"""

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Final, NamedTuple

from penstock_shared import money

_CENT: Final = 0.01
_NO_CENTS: Final = 100_000
_UNITS: Final = MappingProxyType({10**9: "bn", 10**6: "M", 10**3: "k"})
OTHERS: Final = "(all others)"  # the label of what is not listed

Cell = str | int | float | Fraction | None


class Kind(StrEnum):
    """What a column's cells are."""

    TEXT = "text"
    COUNT = "count"
    MONEY = "money"
    SHARE = "share"
    HOURS = "hours"


class Column(NamedTuple):
    """A column; ``name`` is its key in JSON and CSV."""

    name: str
    title: str
    kind: Kind
    is_narrow: bool = True  # it has its place in a terminal too


class ChartKind(StrEnum):
    """How a section is drawn."""

    BARS = "bars"  # one for each row
    PARTS = "parts"  # each bar is divided
    COLUMNS = "columns"  # along the time
    LINES = "lines"


class Chart(NamedTuple):
    """A picture of some columns; the first column has the labels."""

    kind: ChartKind
    columns: tuple[str, ...]


class Section(NamedTuple):
    """One table with its heading, what must be known to read it, and a chart of it."""

    key: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]
    chart: Chart | None = None

    def place(self, name: str) -> int:
        """Where a column stands."""
        return [column.name for column in self.columns].index(name)


class Currency(NamedTuple):
    """The money that is shown."""

    code: str = "USD"
    per_usd: Decimal = Decimal(1)

    def of(self, pusd: int) -> Fraction:
        """An amount in it, exactly."""
        return Fraction(pusd) * Fraction(self.per_usd) / money.PICODOLLARS_PER_DOLLAR

    def exact(self, pusd: int) -> str:
        """The same as a plain decimal number; a rate has at most 12 digits behind the point."""
        digits = Decimal(round(self.of(pusd) * 10**24))
        sign, number = ("-" if digits < 0 else ""), str(abs(int(digits))).rjust(25, "0")
        return sign + f"{number[:-24]}.{number[-24:]}".rstrip("0").rstrip(".")

    def short(self, pusd: int) -> str:
        """The same for the eye: cents of what is not large, three digits of less than a unit."""
        amount = float(self.of(pusd))
        if abs(amount) >= _NO_CENTS:
            return f"{amount:,.0f}"
        if amount == 0 or abs(amount) >= 1:
            return f"{amount:,.2f}"
        text = f"{amount:#.3g}" if abs(amount) >= _CENT else f"{amount:.3g}"
        return text if "e" not in text else f"{Decimal(text):f}"

    def brief(self, pusd: int) -> str:
        """The same where there is little room: 1.23M."""
        amount = float(self.of(pusd))
        for unit, name in _UNITS.items():
            if abs(amount) >= unit:
                return f"{float(f'{amount / unit:.3g}'):g}{name}"
        return self.short(pusd) if amount else "0"


def shown(cell: Cell, kind: Kind, currency: Currency) -> str:
    """A cell as people read it."""
    if cell is None:
        return "-"
    if kind is Kind.TEXT or isinstance(cell, str):
        return str(cell)
    if kind is Kind.MONEY:
        return currency.short(round(cell))
    if kind is Kind.SHARE:
        return f"{float(cell):.1%}"
    return f"{cell:,}" if kind is Kind.COUNT else f"{float(cell):,.1f}"


def fact(cell: Cell, kind: Kind, currency: Currency) -> str | int | float | None:
    """A cell as programs read it: money is an exact decimal in a string."""
    if cell is None or isinstance(cell, str):
        return cell
    if kind is Kind.MONEY:
        return currency.exact(round(cell))
    if kind is Kind.COUNT:
        return int(cell)
    return round(float(cell), 6)
