"""Charts of a section as inline SVG, drawn here so that a page needs nothing from elsewhere.

Lengths are units of the view box, 360 wide, so that text is readable on a phone. Colours are CSS
variables of the page; what colours tell, dashes, order or words tell too.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Final, NamedTuple, Self

from penstock_producer.report.sections import OTHERS, ChartKind, Currency, Section

_WIDTH: Final = 360
_ROW: Final = 36  # of a bar with its label above
_BAR: Final = 13
_PLOT: Final = 190  # height of what has a vertical axis
_DIGIT: Final = 8  # how wide one is, rather too wide
_TOP: Final = 10
_FOOT: Final = 24  # room for labels below
_LABEL_CHARS: Final = 30
_TICKS: Final = 3
_MOST_LABELS: Final = 5
_HALF_LABEL: Final = 20  # how wide half of one is
_DASHES: Final = ("none", "6 4", "2 3", "8 3 2 3")


def chart_of(section: Section, currency: Currency) -> str:
    """The picture of a section; empty where there is nothing to draw."""
    if section.chart is None or not any(any(values) for values in _values(section)):
        return ""
    body, height = _DRAWN[section.chart.kind](section, currency)
    label = escape(section.title)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" '
        f'aria-labelledby="{section.key}-title {section.key}-desc">'
        f'<title id="{section.key}-title">{label}</title>'
        f'<desc id="{section.key}-desc">{escape(_described(section, currency))}</desc>'
        f"{body}</svg>"
    )


def _values(section: Section) -> list[list[float]]:
    """The drawn columns, each from the first row to the last; what is not known is 0."""
    names = section.chart.columns if section.chart else ()
    places = [section.place(name) for name in names]
    return [[float(row[place] or 0) for row in section.rows] for place in places]


def _titles(section: Section) -> list[str]:
    names = section.chart.columns if section.chart else ()
    return [section.columns[section.place(name)].title for name in names]


def _labels(section: Section) -> list[str]:
    """The first column; of savings, the tier too."""
    if section.key != "savings":
        return [str(row[0]) for row in section.rows]
    return [", ".join(str(cell) for cell in row[:2] if cell) for row in section.rows]


def _described(section: Section, currency: Currency) -> str:
    """The picture in words, for who does not see it."""
    kind = f"{', '.join(_titles(section))} in {currency.code}"
    values = _values(section)[0]
    if not values:
        return kind
    most = max(range(len(values)), key=values.__getitem__)
    amount = currency.short(round(values[most]))
    return f"{kind}; most: {_labels(section)[most]}, {amount}. The table below has all figures."


def _bars(section: Section, currency: Currency) -> tuple[str, float]:
    """One bar for each row, to the right of zero, or to its left where it is negative."""
    drawn = [
        (label, value)
        for label, value, row in zip(
            _labels(section), _values(section)[0], section.rows, strict=True
        )
        if row[section.place(section.chart.columns[0] if section.chart else "")] is not None
    ]
    low, high = min(0.0, *(v for _, v in drawn)), max(0.0, *(v for _, v in drawn))
    scale = _WIDTH / (high - low or 1)
    parts = []
    for number, (label, value) in enumerate(drawn):
        y = number * _ROW
        begin = (min(value, 0) - low) * scale
        css = "bad" if value < 0 else "rest" if label == OTHERS else "c0"
        parts.append(_text(0, y + 15, _cut(label)))
        parts.append(_text(_WIDTH, y + 15, currency.short(round(value)), "end"))
        parts.append(_box(begin, y + 20, max(abs(value) * scale, 1), _BAR, css))
    return "".join(parts), len(drawn) * _ROW


def _parts(section: Section, _currency: Currency) -> tuple[str, float]:
    """One bar for each row, divided into shares of its whole."""
    columns, titles = _values(section), _titles(section)
    drawn = []
    for number, label in enumerate(_labels(section)):
        amounts = [max(0.0, column[number]) for column in columns]
        whole, y, x = sum(amounts) or 1, number * _ROW, 0.0
        drawn.append(_text(0, y + 15, _cut(label)))
        drawn.append(_text(_WIDTH, y + 15, f"{titles[-1]} {amounts[-1] / whole:.0%}", "end"))
        for place, amount in enumerate(amounts):
            width = amount / whole * _WIDTH
            drawn.append(_box(x, y + 20, width, _BAR, f"c{place}"))
            x += width
    y = len(section.rows) * _ROW
    return "".join(drawn) + "".join(_legend(titles, y + 12)), y + 24


class _Plot(NamedTuple):
    """Where things are in a picture with a vertical axis."""

    most: float  # the amount at its top
    amounts: tuple[str, ...]  # at its lines, from zero up
    left: float  # where it begins, beside the amounts
    step: float  # from one row to the next

    @classmethod
    def of(cls, columns: Sequence[Sequence[float]], currency: Currency) -> Self:
        most = max(map(max, columns)) or 1
        parts = [number / (_TICKS - 1) for number in range(_TICKS)]
        amounts = tuple(currency.brief(round(most * part)) for part in parts)
        left = max(map(len, amounts)) * _DIGIT + 6
        return cls(most, amounts, left, (_WIDTH - left) / len(columns[0]))

    def x(self, number: int) -> float:
        """The middle of a row."""
        return self.left + (number + 0.5) * self.step

    def y(self, amount: float) -> float:
        """Where an amount is."""
        return _TOP + _PLOT * (1 - amount / self.most)


def _columns(section: Section, currency: Currency) -> tuple[str, float]:
    """One column for each day; its label is without the year."""
    values = _values(section)[0]
    plot = _Plot.of([values], currency)
    days = [label.partition("-")[2] for label in _labels(section)]
    parts = [*_axis(plot), *_below(days, plot)]
    width = plot.step * 0.8
    for number, value in enumerate(values):
        y = plot.y(value)
        parts.append(_box(plot.x(number) - width / 2, y, width, _TOP + _PLOT - y, "c0"))
    return "".join(parts), _TOP + _PLOT + _FOOT


def _lines(section: Section, currency: Currency) -> tuple[str, float]:
    """A line for each column; its points are where the rows are."""
    columns = _values(section)
    plot = _Plot.of(columns, currency)
    parts = [*_axis(plot), *_below([_short_length(label) for label in _labels(section)], plot)]
    for place, column in enumerate(columns):
        points = [(plot.x(number), plot.y(value)) for number, value in enumerate(column)]
        parts.append(_line(" ".join(f"{x:.1f},{y:.1f}" for x, y in points), place))
        parts += [
            f'<circle class="c{place}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points
        ]
    y = _TOP + _PLOT + _FOOT
    return "".join(parts) + "".join(_legend(_titles(section), y + 12, dashed=True)), y + 24


_DRAWN: Final[dict[ChartKind, Callable[[Section, Currency], tuple[str, float]]]] = {
    ChartKind.BARS: _bars,
    ChartKind.PARTS: _parts,
    ChartKind.COLUMNS: _columns,
    ChartKind.LINES: _lines,
}


def _axis(plot: _Plot) -> Iterator[str]:
    """Lines at zero, at the most, and between, each with its amount."""
    for tick, amount in enumerate(plot.amounts):
        y = _TOP + _PLOT * (1 - tick / (_TICKS - 1))
        yield f'<line class="grid" x1="{plot.left}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(plot.left - 6, y + 4, amount, "end")


def _below(labels: Sequence[str], plot: _Plot) -> Iterator[str]:
    """Some of the labels under their points, so that none meets another."""
    every = -(-len(labels) // _MOST_LABELS)
    end = -math.inf
    for number in range(0, len(labels), every):
        x = min(plot.x(number), _WIDTH - _HALF_LABEL)
        if x - end >= _HALF_LABEL:
            yield _text(x, _TOP + _PLOT + 18, labels[number], "middle")
            end = x + _HALF_LABEL


def _legend(titles: Sequence[str], y: float, *, dashed: bool = False) -> Iterator[str]:
    step = _WIDTH / max(len(titles), 1)
    for place, title in enumerate(titles):
        x = place * step
        if dashed:
            points = f"{x:.1f},{y - 4} {x + 26:.1f},{y - 4}"
            yield _line(points, place) + _text(x + 32, y, title)
        else:
            yield _box(x, y - 9, 10, 10, f"c{place}") + _text(x + 15, y, title)


def _line(points: str, place: int) -> str:
    return (
        f'<polyline class="l{place}" points="{points}" fill="none" stroke-width="2.5" '
        f'stroke-dasharray="{_DASHES[place]}"/>'
    )


def _short_length(label: str) -> str:
    """Where a bucket of lengths begins: 4,096 to 8,191 is 4k."""
    begin = int(label.removeprefix("from ").partition(" ")[0].replace(",", ""))
    return f"{begin // 1024}k" if begin >= 1024 else str(begin)  # noqa: PLR2004


def _box(x: float, y: float, width: float, height: float, css: str) -> str:
    return (
        f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _cut(label: str) -> str:
    return label if len(label) <= _LABEL_CHARS else label[: _LABEL_CHARS - 1] + "…"
