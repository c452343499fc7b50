"""The picture of ``eval batching``: throughput and latency against concurrency, and the knee."""

from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from penstock_workers.evals.batching.report import KNEE_SHARE, BatchingReport
from penstock_workers.evals.pictures.drawing import (
    ALARM,
    COLOURS,
    INK,
    PALE,
    End,
    a_figure,
    concurrency_axis,
    label_ends,
    quiet,
    save,
    shortened,
)
from penstock_workers.evals.reports import medians

THROUGHPUT: Final = COLOURS[0]
LATENCY: Final = COLOURS[1]
_DARK_LATENCY: Final = "#A86F00"  # the same colour, dark enough for letters


def draw_batching(report: BatchingReport, path: Path) -> None:
    """Draw a PNG of 1200 x 700 pixels."""
    knee = report.at_knee
    figure = a_figure(
        f"{report.knee} sequences at once give {knee.tokens_per_s.median:,.0f} tokens/s; "
        f"95 % of answers take up to {_seconds(knee.p95_s)}",
        f"{shortened(report.engine, 40)} on {shortened(report.suite, 40)}, "
        f"{medians(report.rounds)}; the knee is the smallest size that reaches "
        f"{100 * KNEE_SHARE:.0f} % of the best throughput",
    )
    left = figure.add_axes((0.08, 0.10, 0.85, 0.72))
    right = left.twinx()
    _throughput(report, left)
    _latency(report, right)
    _names(report, left, right)
    _knee(report, left)
    left.set_zorder(right.get_zorder() + 1)
    left.patch.set_visible(False)
    save(figure, path)


def _throughput(report: BatchingReport, axes: Axes) -> None:
    sizes = [point.concurrency for point in report.points]
    speeds = [point.tokens_per_s for point in report.points]
    quiet(axes)
    concurrency_axis(axes, sizes, "sequences at once")
    axes.fill_between(
        sizes,
        [s.low for s in speeds],
        [s.high for s in speeds],
        color=THROUGHPUT,
        alpha=0.15,
        linewidth=0,
    )
    axes.plot(sizes, [s.median for s in speeds], color=THROUGHPUT, marker="o", linewidth=2.5)
    axes.set_ylim(0, 1.18 * max(s.high for s in speeds))
    axes.set_ylabel("throughput, output tokens per second", color=THROUGHPUT, size=11)
    axes.tick_params(axis="y", labelcolor=THROUGHPUT)
    axes.yaxis.set_major_formatter("{x:,.0f}")


def _latency(report: BatchingReport, axes: Axes) -> None:
    sizes = [point.concurrency for point in report.points]
    quiet(axes, grid="")
    for values, style in (
        ([point.p50_s for point in report.points], "-"),
        ([point.p95_s for point in report.points], "--"),
    ):
        axes.plot(sizes, values, color=LATENCY, linestyle=style, linewidth=2, marker="s", ms=4)
    axes.set_ylim(0, 1.5 * max(point.p95_s for point in report.points))
    axes.set_ylabel("latency, seconds until an answer is there", color=_DARK_LATENCY, size=11)
    axes.tick_params(axis="y", labelcolor=_DARK_LATENCY)


def _names(report: BatchingReport, left: Axes, right: Axes) -> None:
    last = report.points[-1]
    most_tokens, most_seconds = left.get_ylim()[1], right.get_ylim()[1]
    ends = [
        End("throughput", last.tokens_per_s.median / most_tokens, THROUGHPUT),
        End("p95 latency", last.p95_s / most_seconds, _DARK_LATENCY),
        End("p50 latency", last.p50_s / most_seconds, _DARK_LATENCY),
    ]
    # Room for the names of the lines, an octave wide.
    left.set_xlim(report.points[0].concurrency / 1.25, last.concurrency * 2)
    label_ends(left, last.concurrency, ends, apart=0.05)


def _knee(report: BatchingReport, axes: Axes) -> None:
    knee = report.at_knee
    axes.axvline(report.knee, color=ALARM, linewidth=1.5, linestyle=":")
    axes.plot(
        [report.knee],
        [knee.tokens_per_s.median],
        marker="o",
        markersize=15,
        markerfacecolor="none",
        markeredgecolor=ALARM,
        markeredgewidth=2.5,
    )
    _beside_knee(report, axes, f"knee: max_num_seqs = {report.knee}", -4, INK, "bold")
    held = report.sequences_in_cache
    if held is not None:
        room = f"the KV cache holds {held:,} sequences of {report.mean_tokens:,.0f} tokens"
        is_short = held < report.knee
        _beside_knee(report, axes, room, -24, ALARM if is_short else PALE, "normal")


def _beside_knee(
    report: BatchingReport, axes: Axes, text: str, below: float, colour: str, weight: str
) -> None:
    """Write on the side of the line where there is more room."""
    is_right = report.points.index(report.at_knee) > len(report.points) / 2
    axes.annotate(
        text,
        (report.knee, axes.get_ylim()[1]),
        xytext=(-8 if is_right else 8, below),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="top",
        color=colour,
        weight=weight,
        size=11,
    )


def _seconds(value: float) -> str:
    return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"  # noqa: PLR2004
