"""The picture of ``plan kv``: requests that fit at once against context length."""

from pathlib import Path
from typing import Any, Final

from penstock_producer.plan.kv.planning import GIB, KvPlan
from penstock_shared.errors import InvalidRequest

# Okabe and Ito's colours, as in the pictures of the evaluations.
_LINES: Final = {
    "bf16": ("16 bits", "#0072B2", "o"),
    "int8": ("8 bits", "#E69F00", "s"),
    "int4": ("4 bits", "#009E73", "D"),
}
_LONGEST: Final = 32  # characters of a name in the title
_INK: Final = "#222222"
_PALE: Final = "#777777"
_GRID: Final = "#E3E3E3"


def draw_kv(plan: KvPlan, path: Path) -> None:
    """Draw a PNG of 1200 x 700 pixels. Raises InvalidRequest where matplotlib is missing."""
    if plan.gpu is None:
        raise InvalidRequest("--picture draws what fits into a GPU: give --gpu-memory too")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InvalidRequest("--picture needs matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(12, 7), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.02, 0.957, _title(plan), size=14, weight="bold", color=_INK, va="top",
                parse_math=False)  # fmt: skip
    figure.text(0.02, 0.9, _subtitle(plan), size=11, color=_PALE, va="top", parse_math=False)
    axes = figure.add_axes((0.08, 0.10, 0.82, 0.72))
    _lines(plan, axes)
    _dress(plan, axes)
    try:
        figure.savefig(path, dpi=100, facecolor="white", format="png")
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from None


def _title(plan: KvPlan) -> str:
    row = plan.rows[-1]
    fits = row.max_concurrent or {}
    name = plan.model if len(plan.model) <= _LONGEST else "…" + plan.model[1 - _LONGEST :]
    requests = "1 request" if fits["bf16"] == 1 else f"{fits['bf16']:,} requests"
    at_once = f"{requests} of {row.context:,} tokens fit at once"
    return f"{name}: {at_once} in 16 bits, {fits['int4']:,} in 4"


def _subtitle(plan: KvPlan) -> str:
    gpu = plan.gpu
    if gpu is None:
        return ""
    devices = "one GPU" if plan.tensor_parallel == 1 else f"{plan.tensor_parallel} GPUs"
    return (
        f"{devices} of {gpu.memory_bytes / GIB:,.0f} GiB, {100 * gpu.share:.0f} % of it used; "
        f"KV cache in {plan.kv_dtype}, {plan.kv_bytes_per_token:,} bytes a token; "
        "a line ends where not one request fits"
    )


def _lines(plan: KvPlan, axes: Any) -> None:
    for key, (name, colour, marker) in _LINES.items():
        points = [
            (row.context, row.max_concurrent[key])
            for row in plan.rows
            if row.max_concurrent and row.max_concurrent[key]
        ]
        if not points:
            continue
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, color=colour, marker=marker, linewidth=2.5, label=name)
        axes.annotate(f"{ys[-1]:,}", (xs[-1], ys[-1]), xytext=(9, 0), va="center",
                      textcoords="offset points", color=colour, size=11)  # fmt: skip
    if axes.lines:
        axes.legend(frameon=False, fontsize=11, title="weights in")


def _dress(plan: KvPlan, axes: Any) -> None:
    contexts = sorted({row.context for row in plan.rows})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim(contexts[0] / 1.15, contexts[-1] * 1.25)
    axes.set_xticks(contexts, [f"{context:,}" for context in contexts])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("context: tokens of prompt and answer", color=_INK)
    axes.set_ylabel("requests that fit at once", color=_INK)
    axes.tick_params(length=0, colors=_INK, labelsize=10)
    axes.grid(color=_GRID)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    if not axes.lines:
        axes.set_ylim(1, 10)
        axes.text(0.5, 0.5, "not one request fits", transform=axes.transAxes, ha="center",
                  size=14, color=_PALE)  # fmt: skip
