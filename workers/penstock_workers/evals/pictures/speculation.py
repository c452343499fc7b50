"""The picture of ``eval speculation``: speed-up against batch size, a panel for each task type."""

import math
from pathlib import Path
from statistics import fmean
from typing import Final

from matplotlib.axes import Axes

from penstock_shared.speculative_options import method_of
from penstock_shared.words import TaskType
from penstock_workers.evals.pictures.drawing import (
    INK,
    PALE,
    WIDTH,
    a_figure,
    colour,
    concurrency_axis,
    key,
    marker,
    quiet,
    save,
    shortened,
)
from penstock_workers.evals.reports import medians
from penstock_workers.evals.speculation.report import SpeculationReport

_COLUMNS: Final = 4
_POINTS_OF_HEAD: Final = 51
_POINTS_PER_RATE: Final = 36


def draw_speculation(report: SpeculationReport, path: Path) -> None:
    """Draw a PNG, 1200 pixels wide, 700 high for up to eight task types."""
    task_types = report.task_types
    columns = min(_COLUMNS, len(task_types))
    rows = math.ceil(len(task_types) / columns)
    figure = a_figure(
        _finding(report),
        f"speed-up over {shortened(report.baseline, 40)} on {shortened(report.suite, 40)}: "
        f"{medians(report.rounds)}, least to largest shaded",
        height=max(7.0, 1.6 + 2.7 * rows),
    )
    height = figure.get_figheight()
    key(figure, [variant.name for variant in report.variants], 1.16)
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.055,
        right=0.985,
        bottom=0.55 / height,
        top=1 - 1.95 / height,
        hspace=0.62,
        wspace=0.16,
    )
    most = max(1.2, *(row.speed_up.high for row in report.measurements))
    for number, task_type in enumerate(task_types):
        axes = figure.add_subplot(grid[number // columns, number % columns])
        _panel(report, task_type, axes)
        axes.set_ylim(0, 1.08 * most)
        if number % columns == 0:
            axes.set_ylabel("speed-up, times", color=INK)
        else:
            axes.tick_params(axis="y", labelleft=False)
        if number + columns < len(task_types):
            axes.set_xlabel("")
    save(figure, path)


def _finding(report: SpeculationReport) -> str:
    steps = report.recommendation.steps
    worth = tuple(step for step in steps if step.tokens)
    config = report.recommendation.speculative_config
    if config is None or not worth:
        speeds = ", ".join(f"{step.speed_up:.2f} at {step.batch_size}" for step in steps)
        return f"Speculation is best left off: over all task types {speeds} at once"
    best = max(step.speed_up for step in worth)
    if len(worth) == len(steps):
        where = "at all measured batch sizes"
    elif worth == steps[: len(worth)]:
        where = f"up to {worth[-1].batch_size} requests at once"
    else:
        where = f"at {', '.join(str(step.batch_size) for step in worth)} requests at once"
    return f"{method_of(config)} is worth it {where}: {best:.1f} times as fast at best"


def _panel(report: SpeculationReport, task_type: TaskType, axes: Axes) -> None:
    quiet(axes)
    concurrency_axis(axes, report.batch_sizes, "requests at once")
    axes.set_xlim(report.batch_sizes[0] / 1.3, report.batch_sizes[-1] * 1.3)
    axes.axhspan(0, 1, color="#F4F4F4", zorder=0)
    axes.axhline(1.0, color=INK, linewidth=1.2, linestyle="--")
    axes.text(0.02, 0.03, "slower", transform=axes.transAxes, size=9, color=PALE)
    for number, variant in enumerate(report.variants):
        rows = report.of(variant.name, task_type)
        sizes = [row.batch_size for row in rows]
        axes.fill_between(
            sizes,
            [row.speed_up.low for row in rows],
            [row.speed_up.high for row in rows],
            color=colour(number),
            alpha=0.15,
            linewidth=0,
        )
        axes.plot(
            sizes,
            [row.speed_up.median for row in rows],
            color=colour(number),
            marker=marker(number),
            markersize=5,
            linewidth=2,
        )
    axes.set_title(task_type.value, loc="left", size=12, weight="bold", color=INK, pad=22)
    _acceptance(report, task_type, axes)


def _acceptance(report: SpeculationReport, task_type: TaskType, axes: Axes) -> None:
    """The share of accepted tokens of each variant, in its colour, as the title's second line."""
    parts: list[tuple[str, str]] = []
    for number, variant in enumerate(report.variants):
        rates = [row.acceptance_rate for row in report.of(variant.name, task_type)]
        known = [rate for rate in rates if rate is not None]
        if known:
            parts.append((f"{100 * fmean(known):.0f} %", colour(number)))
    if not parts:
        parts.append(("nothing", PALE))
    room = axes.get_position().width * WIDTH * 72
    step = min(_POINTS_PER_RATE, (room - _POINTS_OF_HEAD) / len(parts))
    places = [0.0, *(_POINTS_OF_HEAD + step * number for number in range(len(parts)))]
    for place, (text, hue) in zip(places, [("accepted", PALE), *parts], strict=True):
        axes.annotate(
            text,
            (0.0, 1.0),
            xycoords="axes fraction",
            xytext=(place, 8),
            textcoords="offset points",
            size=10 if hue == PALE else min(10, 10 * step / _POINTS_PER_RATE + 1),
            weight="normal" if hue == PALE else "bold",
            color=hue,
        )
