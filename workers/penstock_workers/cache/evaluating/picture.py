"""The picture of ``cache eval``: precision against recall, verified and by bare cosine."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from penstock_workers.cache.evaluating import counts
from penstock_workers.cache.evaluating.counts import Point, Rule
from penstock_workers.cache.evaluating.judging import Judged
from penstock_workers.cache.evaluating.report import Outcome, Report
from penstock_workers.cache.evaluating.tables import percent
from penstock_workers.evals.pictures.drawing import (
    COLOURS,
    INK,
    MARKERS,
    PALE,
    a_figure,
    quiet,
    save,
    shortened,
)

_SHOWN: Final = (0.99, 0.97, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)  # cosines with a number
_APART: Final = (0.055, 0.07)  # room of a number, in shares of the axes
_BESIDE: Final = 0.03  # recall to either side in which the line would strike a number through
_SCALES: Final = ((0.9, 0.02), (0.8, 0.04), (0.5, 0.1), (0.0, 0.2))  # lowest, step
_PLACE: Final = (0.07, 0.10, 0.62, 0.745)  # of the axes: left, bottom, width, height
_COLUMN: Final = 0.72  # where the words beside the axes begin


class _Curve(NamedTuple):
    name: str
    rule: Rule
    colour: str
    ink: str  # the same colour, dark enough for letters
    marker: str
    side: int  # 1: its numbers stand above the line, -1: below

    def edge(self, heights: Sequence[float]) -> float:
        """The height of the line on the side of its numbers."""
        return max(heights) if self.side > 0 else min(heights)


_VERIFIED: Final = _Curve("verified (ours)", counts.ours, COLOURS[0], COLOURS[0], MARKERS[0], 1)
_BARE: Final = _Curve("bare cosine", counts.bare, COLOURS[1], "#A86F00", MARKERS[1], -1)


def draw(judged: Sequence[Judged], report: Report, path: Path, *, name: str) -> None:
    """Draw a PNG of 1200 x 700 pixels; ``name`` is that of the file with the pairs.

    Raises OSError when the file cannot be written.
    """
    figure = a_figure(
        f"Wrong hits: {report.wrong:,} of {report.hits:,} verified, "
        f"{report.bare.wrong:,} of {report.bare.hits:,} by bare cosine",
        f"{shortened(name, 40)}: {report.pairs:,} pairs, {report.same:,} the same; encoder "
        f"{shortened(report.encoder, 40)}; small numbers are cosines from which hits count",
    )
    axes = figure.add_axes(_PLACE)
    drawn = [(_BARE, report.bare), (_VERIFIED, report)]
    points = {curve.name: counts.sweep(judged, curve.rule) for curve, _ in drawn}
    _frame(axes, [*itertools.chain(*points.values())], [outcome for _, outcome in drawn])
    taken = [_on_axes(axes, o.recall, o.precision) for _, o in drawn if _has_point(o)]
    for curve, outcome in drawn:
        _line(axes, curve, points[curve.name])
        _working_point(axes, curve, outcome)
        _numbers(axes, curve, points[curve.name], taken)
    _words(figure, _VERIFIED, report, 0.80)
    _words(figure, _BARE, report.bare, 0.53)
    if not any(points.values()):
        axes.text(0.5, 0.5, "no hits at any cosine", transform=axes.transAxes, color=PALE, size=13)
    save(figure, path)


def _has_point(outcome: Outcome) -> bool:
    return outcome.recall is not None and outcome.precision is not None


def _frame(axes: Axes, points: Sequence[Point], outcomes: Sequence[Outcome]) -> None:
    quiet(axes, grid="both")
    values = [o.precision_low for o in outcomes if o.precision_low is not None]
    values += [point.precision for point in points]
    least = min(values, default=0.0)
    bottom, step = next(scale for scale in _SCALES if scale[0] <= least)
    room = 1 - bottom
    axes.set_xlim(-0.02, 1.03)
    axes.set_ylim(bottom - 0.06 * room, 1 + 0.08 * room)
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.set_xticks([number / 5 for number in range(6)])
    axes.set_yticks([bottom + step * number for number in range(round(room / step) + 1)])
    axes.set_xlabel("recall: same pairs that are hits", color=INK, size=11)
    axes.set_ylabel("precision: hits that are right", color=INK, size=11)


def _line(axes: Axes, curve: _Curve, points: Sequence[Point]) -> None:
    axes.plot(
        [point.recall for point in points],
        [point.precision for point in points],
        color=curve.colour,
        linewidth=2.2,
        solid_joinstyle="round",
    )


def _working_point(axes: Axes, curve: _Curve, outcome: Outcome) -> None:
    """The point of the threshold in use, with precision's interval as a bar."""
    if outcome.recall is None or outcome.precision is None:
        return
    x = outcome.recall
    if outcome.precision_low is not None and outcome.precision_high is not None:
        axes.plot(
            [x, x],
            [outcome.precision_low, outcome.precision_high],
            color=curve.ink,
            linewidth=1.6,
            zorder=4,
        )
    axes.plot([x], [outcome.precision], **_mark(curve), zorder=5)


def _mark(curve: _Curve) -> dict[str, Any]:
    return {
        "marker": curve.marker,
        "markersize": 13,
        "markerfacecolor": curve.colour,
        "markeredgecolor": INK,
        "markeredgewidth": 2,
    }


def _numbers(
    axes: Axes, curve: _Curve, points: Sequence[Point], taken: list[tuple[float, float]]
) -> None:
    """Write cosines at the line where there is room; ``taken`` grows by their places."""
    for shown in _SHOWN:
        reached = [point for point in points if point.threshold >= shown]
        if not reached:
            continue
        x, y = reached[-1].recall, reached[-1].precision
        edge = curve.edge(_heights(points, x))
        place = _on_axes(axes, x, edge)
        label = (place[0], place[1] + 0.03 * curve.side)
        if any(_is_near(label, other) for other in taken):
            continue
        taken.append(label)
        axes.plot([x], [y], marker="o", markersize=4, color=curve.ink, zorder=3)
        axes.annotate(
            f"{shown:g}",
            (x, edge),
            xytext=(0, 6 * curve.side),
            textcoords="offset points",
            ha="center",
            va="bottom" if curve.side > 0 else "top",
            size=9,
            color=curve.ink,
        )


def _heights(points: Sequence[Point], x: float) -> list[float]:
    """How high the line is around this recall, between two points too."""
    recalls, heights = [p.recall for p in points], [p.precision for p in points]
    ends = np.interp([x - _BESIDE, x + _BESIDE], recalls, heights).tolist()
    return [*ends, *(p.precision for p in points if abs(p.recall - x) <= _BESIDE)]


def _on_axes(axes: Axes, x: float | None, y: float | None) -> tuple[float, float]:
    """Data coordinates as shares of the axes."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return ((x or 0.0) - left) / (right - left), ((y or 0.0) - bottom) / (top - bottom)


def _is_near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return abs(one[0] - other[0]) < _APART[0] and abs(one[1] - other[1]) < _APART[1]


def _words(figure: Figure, curve: _Curve, outcome: Outcome, top: float) -> None:
    """Beside the axes: whose mark it is, and its figures."""
    mark = Line2D([_COLUMN], [top - 0.012], transform=figure.transFigure, linestyle="none")
    mark.set(**_mark(curve))
    figure.add_artist(mark)
    text: dict[str, Any] = {"color": INK, "va": "top", "parse_math": False}
    x = _COLUMN + 0.018
    figure.text(x, top, f"{curve.name}, from {outcome.threshold:g}", size=13, weight="bold",
                **{**text, "color": curve.ink})  # fmt: skip
    for number, line in enumerate(_figures(outcome)):
        figure.text(x, top - 0.05 - 0.036 * number, line, size=11, **text)


def _figures(outcome: Outcome) -> list[str]:
    low, high = percent(outcome.precision_low), percent(outcome.precision_high)
    precision = f"precision {percent(outcome.precision)} % ({low} to {high})"
    return [
        f"{outcome.hits:,} hits: {outcome.right:,} right, {outcome.wrong:,} wrong",
        precision if outcome.hits else "no precision without hits",
        f"recall {percent(outcome.recall)} %" if outcome.same else "no pair is the same",
    ]
