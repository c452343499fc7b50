"""The picture of ``eval quality``: scores with intervals, and what each engine gives and takes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from penstock_shared.words import TaskType
from penstock_workers.evals.pictures.drawing import (
    ALARM,
    INK,
    PALE,
    a_figure,
    colour,
    key,
    marker,
    quiet,
    save,
    shortened,
)
from penstock_workers.evals.quality.scores import QualityReport, Score
from penstock_workers.evals.tables import size_of

_ROW_INCHES: Final = 0.135
_HEAD_INCHES: Final = 1.72
_FOOT_INCHES: Final = 0.62
_BETWEEN_INCHES: Final = 0.75
_GAP: Final = 1.4  # between two task types, in rows
_TITLE_CHARACTERS: Final = 98
_BAND: Final = "#F6F6F6"


def draw_quality(report: QualityReport, path: Path) -> None:
    """Draw a PNG, 1200 pixels wide, 700 high or more where there are many engines."""
    rows = len(report.task_types) * (len(report.engines) + _GAP)
    height = max(7.0, _HEAD_INCHES + _FOOT_INCHES + _ROW_INCHES * rows)
    figure = a_figure(
        _finding(report),
        f"{shortened(report.suite, 40)}: right answers with 95 % intervals; ring and ▼ mark a "
        f"significant drop against {shortened(report.reference, 20)}, in percentage points",
        height=height,
    )
    names = [engine.name for engine in report.engines]
    key(figure, [f"{names[0]} (reference)", *names[1:]], 1.16)
    bottom, top = _FOOT_INCHES / height, 1 - _HEAD_INCHES / height
    _scores(report, figure.add_axes((0.14, bottom, 0.465, top - bottom)))
    room = (top - bottom - _BETWEEN_INCHES / height) / 2
    speeds = [engine.tokens_per_s for engine in report.engines]
    weights = [engine.weights_bytes for engine in report.engines]
    upper = figure.add_axes((0.79, top - room, 0.13, room))
    _bars(upper, "output tokens per second", names, speeds, lambda speed: f"{speed:,.0f}")
    lower = figure.add_axes((0.79, bottom, 0.13, room))
    _bars(lower, "size of the weights", names, weights, size_of)
    save(figure, path)


def _finding(report: QualityReport) -> str:
    worse: dict[str, int] = {engine.name: 0 for engine in report.engines[1:]}
    for score in report.scores:
        if _is_drop(score):
            worse[score.engine] += 1
    of = len(report.task_types)
    if not worse:
        return f"{shortened(report.reference, 40)} on {of} task types"
    if not any(worse.values()):
        return f"No engine is significantly worse than {shortened(report.reference, 40)}"
    parts = [
        f"{shortened(name, 20)} on {count} of {of}" if count else f"{shortened(name, 20)} on none"
        for name, count in worse.items()
    ]
    title = f"Significantly worse than {shortened(report.reference, 20)}: {', '.join(parts)}"
    most = max(worse, key=lambda name: worse[name])
    ours, theirs = shortened(most, 25), shortened(report.reference, 20)
    short = f"{ours} is significantly worse than {theirs} on {worse[most]} of {of} task types"
    return title if len(title) <= _TITLE_CHARACTERS else short


def _scores(report: QualityReport, axes: Axes) -> None:
    step = len(report.engines) + _GAP
    quiet(axes, grid="x")
    for number, task_type in enumerate(report.task_types):
        top = number * step
        if number % 2 == 0:
            axes.axhspan(top - (1 + _GAP) / 2, top + step - (1 + _GAP) / 2, color=_BAND, zorder=0)
        _task_type(report, task_type, top, axes)
    lows = [score.score.low for score in report.scores]
    axes.set_xlim(max(0.0, int(10 * min(lows, default=0)) / 10 - 0.02), 1.015)
    axes.set_ylim(max(1, len(report.task_types)) * step - (1 + _GAP) / 2, -(1 + _GAP) / 2)
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.set_xlabel("right answers", color=INK)
    middle = (len(report.engines) - 1) / 2
    axes.set_yticks(
        [number * step + middle for number in range(len(report.task_types))],
        [task_type.value for task_type in report.task_types],
        size=12,
        weight="bold",
    )


def _task_type(report: QualityReport, task_type: TaskType, top: float, axes: Axes) -> None:
    """The engines under each other, the reference's score as a line through all of them."""
    found = {score.engine: score for score in report.scores if score.task_type is task_type}
    if report.reference in found:
        value = found[report.reference].score.value
        axes.plot([value] * 2, [top - 0.5, top + len(report.engines) - 0.5], color=PALE, lw=1)
    for number, engine in enumerate(report.engines):
        if engine.name in found:
            _dot(found[engine.name], number, top + number, axes)


def _dot(score: Score, number: int, y: float, axes: Axes) -> None:
    interval = score.score
    axes.plot([interval.low, interval.high], [y, y], color=colour(number), linewidth=2.4)
    axes.plot([interval.value], [y], color=colour(number), marker=marker(number), markersize=7)
    if not score.significant:
        return
    is_drop = _is_drop(score)
    if is_drop:
        axes.plot(
            [interval.value],
            [y],
            marker="o",
            markersize=13,
            markerfacecolor="none",
            markeredgecolor=ALARM,
            markeredgewidth=2,
        )
    axes.annotate(
        f"{'▼' if is_drop else '▲'} {abs(100 * score.difference.value):.0f}",
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        size=9.5,
        weight="bold",
        color=ALARM if is_drop else INK,
        annotation_clip=False,
    )


def _bars(
    axes: Axes,
    title: str,
    names: Sequence[str],
    values: Sequence[float | None],
    text: Callable[[float], str],
) -> None:
    quiet(axes, grid="")
    most = max((value for value in values if value is not None), default=1.0) or 1.0
    for number, value in enumerate(values):
        axes.barh(number, value or 0, height=0.62, color=colour(number))
        axes.text(
            (value or 0) + 0.03 * most,
            number,
            "unknown" if value is None else text(value),
            va="center",
            size=11,
            color=INK,
        )
    axes.set_ylim(max(3, len(values)) - 0.5, -0.5)
    axes.set_xlim(0, most)
    axes.set_xticks([])
    axes.set_yticks(range(len(names)), [shortened(name, 13) for name in names], size=10)
    axes.set_title(title, loc="left", size=11, weight="bold", color=INK)


def _is_drop(score: Score) -> bool:
    return score.significant and score.difference.value < 0
