"""What the pictures of the evaluations have in common: colours, a page, titles, saving.

Figures are made without pyplot, so that nothing outlives the call that draws one.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# Okabe and Ito's colours, told apart by colour-blind people too; yellow is too pale for lines.
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
ALARM: Final = "#D55E00"  # vermilion, the last of them, says that something is wrong
MARKERS: Final = ("o", "s", "D", "^", "v", "P", "X")
INK: Final = "#222222"
PALE: Final = "#777777"
GRID: Final = "#E3E3E3"
WIDTH: Final = 12.0  # inches, of 100 pixels each
_DPI: Final = 100
_LEFT: Final = 0.02
_LARGE_TITLE: Final = 84  # characters, of which more do not fit in large letters


def a_figure(title: str, subtitle: str, height: float = 7.0) -> Figure:
    """An empty white page, so many hundred pixels high, with the finding as its title."""
    figure = Figure(figsize=(WIDTH, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    top = 1 - 0.30 / height
    size = 17 if len(title) <= _LARGE_TITLE else 15
    figure.text(_LEFT, top, title, size=size, weight="bold", color=INK, va="top", parse_math=False)
    figure.text(
        _LEFT, top - 0.40 / height, subtitle, size=11, color=PALE, va="top", parse_math=False
    )
    return figure


def quiet(axes: Axes, grid: str = "y") -> None:
    """Leave on the axes only what helps to read values: no frame, a pale grid behind the data."""
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, colors=INK, labelsize=10)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis="both" if grid == "both" else "x" if grid == "x" else "y", color=GRID)


def concurrency_axis(axes: Axes, sizes: Sequence[int], label: str) -> None:
    """A logarithmic axis with the measured sizes as its ticks."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel(label, color=INK)


def colour(number: int) -> str:
    """The colour of the engine with this number."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """Its marker: another cycle than the colours', so that pairs come again late."""
    return MARKERS[number % len(MARKERS)]


def key(figure: Figure, names: Sequence[str], below_top: float) -> None:
    """The names with their colours and markers in one line, so many inches below the top."""
    y = 1 - below_top / figure.get_figheight()
    width = 0.96 / max(4, len(names))
    for number, name in enumerate(names):
        x = _LEFT + number * width
        line = Line2D([x, x + 0.015, x + 0.03], [y, y, y], transform=figure.transFigure)
        line.set(color=colour(number), marker=marker(number), linewidth=2.2)
        line.set_markersize(7)
        line.set_markevery([1])
        figure.add_artist(line)
        short = shortened(name, int(100 * width))
        figure.text(
            x + 0.038, y, short, size=11, weight="bold", color=INK, va="center", parse_math=False
        )


class End(NamedTuple):
    """The name of a line, to be written where the line ends."""

    text: str
    height: float  # share of the axes, from below
    colour: str


def label_ends(axes: Axes, x: float, ends: Sequence[End], apart: float, size: float = 11) -> None:
    """Write names to the right of ``x``, none over another: at least ``apart`` between two."""
    heights = spread_out([end.height for end in ends], apart)
    for end, height in zip(ends, heights, strict=True):
        axes.annotate(
            end.text,
            (x, height),
            xycoords=("data", "axes fraction"),
            xytext=(13, 0),
            textcoords="offset points",
            color=end.colour,
            va="center",
            size=size,
            weight="bold",
            parse_math=False,
        )


def spread_out(heights: Sequence[float], apart: float) -> list[float]:
    """The heights, in their order, moved as little as it takes to be ``apart`` from each other."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    groups: list[list[int]] = []
    for index in order:
        groups.append([index])
        while len(groups) > 1 and _overlap(groups[-2], groups[-1], heights, apart):
            last = groups.pop()
            groups[-1].extend(last)
    moved = [0.0] * len(heights)
    for group in groups:
        bottom = _middle(group, heights) - apart * (len(group) - 1) / 2
        for place, index in enumerate(group):
            moved[index] = bottom + place * apart
    return moved


def _overlap(
    below: Sequence[int], above: Sequence[int], heights: Sequence[float], apart: float
) -> bool:
    room = _middle(above, heights) - _middle(below, heights)
    return room < apart * (len(below) + len(above)) / 2


def _middle(group: Sequence[int], heights: Sequence[float]) -> float:
    return fmean(heights[index] for index in group)


def shortened(text: str, most: int) -> str:
    """A name that is not too long for its place; what tells it from others is often at its end."""
    return text if len(text) <= most else "…" + text[1 - most :]


def save(figure: Figure, path: Path) -> None:
    """Write a PNG."""
    figure.savefig(path, dpi=_DPI, facecolor="white")
