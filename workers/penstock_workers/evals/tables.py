"""The reports of evaluations as tables on a terminal; words say what colours might."""

from statistics import fmean

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock_shared.gates import Gates
from penstock_workers.evals.batching.report import BatchingReport, gains
from penstock_workers.evals.quality.scores import Interval, QualityReport, Score
from penstock_workers.evals.reports import medians
from penstock_workers.evals.speculation.report import Measurement, SpeculationReport

NOTHING = "-"


def quality(report: QualityReport, out: Console) -> None:
    """Scores with their 95 % intervals, in percent and percentage points; then the engines."""
    table = _table(f"Right answers in percent, {report.suite}", "task type", "engine")
    for name in ("score (95 %)", "difference (95 %)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("significant", no_wrap=True)
    for task_type in report.task_types:
        for number, engine in enumerate(report.engines):
            score = report.of(engine.name).get(task_type)
            if score is not None:
                first = task_type.value if number == 0 else ""
                table.add_row(first, _plain(engine.name), *_score(score, report.reference))
        table.add_section()
    out.print(table, "")
    _engines(report, out)
    if report.refused:
        names = ", ".join(task_type.value for task_type in report.refused)
        _say(out, f"Not in tokens/s, as some engine refused prompts: {names}.")
    if report.unscored:
        names = ", ".join(task_type.value for task_type in report.unscored)
        _say(out, f"Without checkers, so timed only: {names}.")


def gates(found: Gates, out: Console) -> None:
    """Which task types each tier may serve, and why."""
    title = f"Gates at a tolerance of {100 * found.tolerance:g} points, {found.suite}"
    table = _table(title, "tier", "task type", "may serve", "why")
    for tier, tier_gates in found.tiers.items():
        for number, (task_type, gate) in enumerate(tier_gates.task_types.items()):
            first = _plain(tier if number == 0 else "")
            table.add_row(first, task_type.value, "yes" if gate.passed else "no", _plain(gate.why))
        table.add_section()
    out.print(table, "")


def speculation(report: SpeculationReport, out: Console) -> None:
    """Speed-ups by batch size; then the recommendation."""
    table = _table(
        f"Speed-up over {report.baseline}, {medians(report.rounds)}", "task type", "variant"
    )
    for name in ("accept", "length", *(f"at {size}" for size in report.batch_sizes)):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("up to", justify="right", no_wrap=True)
    up_to = {(a.variant, a.task_type): a.up_to for a in report.recommendation.advice}
    for task_type in report.task_types:
        for number, variant in enumerate(report.variants):
            rows = report.of(variant.name, task_type)
            table.add_row(
                task_type.value if number == 0 else "",
                _plain(variant.name),
                _mean([row.acceptance_rate for row in rows], "{:.0%}"),
                _mean([row.accepted_length for row in rows], "{:.1f}"),
                *(_speed_up(rows, size) for size in report.batch_sizes),
                str(up_to.get((variant.name, task_type), 0) or "off"),
            )
        table.add_section()
    out.print(table, "")
    _say(
        out,
        "accept: share of the drafted tokens that is accepted; length: tokens that a verified "
        "draft gives, the model's own one included; at N: N requests at once; up to: the largest "
        f"batch that gains {report.least_gain:.0%}, with all smaller ones.",
    )
    _changed(report, out)
    _schedule(report, out)


def batching(report: BatchingReport, out: Console) -> None:
    """Throughput and latency by concurrency; then the setting."""
    table = _table(f"{report.engine} on {report.suite}, {medians(report.rounds)}")
    names = ("at once", "tokens/s", "lowest", "highest", "gain", "p50 s", "p95 s", "failed")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for point, gain in zip(report.points, gains(report.points), strict=True):
        table.add_row(
            f"{point.concurrency}",
            f"{point.tokens_per_s.median:,.0f}",
            f"{point.tokens_per_s.low:,.0f}",
            f"{point.tokens_per_s.high:,.0f}",
            NOTHING if gain is None else f"{gain - 1:+.0%}",
            f"{point.p50_s:.2f}",
            f"{point.p95_s:.2f}",
            f"{point.failed}",
            "knee" if point.concurrency == report.knee else "",
        )
    out.print(table, "")
    _say(out, f"The knee is the smallest size that reaches 90 % of the best: {report.knee}.")
    if report.caveat is not None:
        _say(out, f"But {report.caveat}.")
    _copy(out, report.toml)


def _engines(report: QualityReport, out: Console) -> None:
    table = _table("Engines", "engine", "model")
    for name in ("tokens/s", "weights", "KV cache tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    for engine in report.engines:
        table.add_row(
            _plain(engine.name),
            _plain(engine.model),
            f"{engine.tokens_per_s:,.0f}",
            NOTHING if engine.weights_bytes is None else size_of(engine.weights_bytes),
            NOTHING if engine.kv_cache_tokens is None else f"{engine.kv_cache_tokens:,}",
        )
    out.print(table, "")


def size_of(count: float) -> str:
    """Bytes in decimal units, as disks and models are sold."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _score(score: Score, reference: str) -> tuple[str, ...]:
    shown = _interval(score.score, "")
    if score.engine == reference:
        return shown, "", "(reference)"
    significant = "no"
    if score.significant:
        significant = "yes, WORSE" if score.difference.value < 0 else "yes, better"
    return shown, _interval(score.difference, "+"), significant


def _interval(found: Interval, sign: str) -> str:
    value, low, high = (100 * share for share in (found.value, found.low, found.high))
    return f"{value:{sign}.1f} ({low:{sign}.0f} to {high:{sign}.0f})"


def _speed_up(rows: tuple[Measurement, ...], size: int) -> str:
    found = [row.speed_up.median for row in rows if row.batch_size == size]
    return f"{found[0]:.2f}" if found else NOTHING


def _mean(values: list[float | None], shape: str) -> str:
    known = [value for value in values if value is not None]
    return shape.format(fmean(known)) if known else NOTHING


def _changed(report: SpeculationReport, out: Console) -> None:
    changed = sum(row.changed for row in report.measurements)
    compared = sum(row.compared for row in report.measurements)
    _say(
        out,
        f"{changed:,} of {compared:,} greedy answers differ from the baseline's; of the "
        f"baseline's own, {report.baseline_changed:,} of {report.baseline_compared:,} differ "
        "between rounds.",
    )


def _schedule(report: SpeculationReport, out: Console) -> None:
    found = report.recommendation
    table = _table("The best for all task types together")
    for name in ("at once", "speculative tokens", "speed-up"):
        table.add_column(name, justify="right")
    for step in found.steps:
        table.add_row(f"{step.batch_size}", f"{step.tokens or 'off'}", f"{step.speed_up:.2f}")
    out.print(table, "")
    if found.reads_along:
        cost = (
            "that is in its speed-up" if found.off_measured else "what that costs is not measured"
        )
        _say(out, f"Where it is off, the draft model still reads every token along; {cost}.")
    if found.toml is None:
        _say(out, "It gains at no size, or loses at one: leave it off.")
    else:
        _copy(out, found.toml)


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=_plain(title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    return table


def _plain(text: str) -> Text:
    """Names are written by people: brackets in them are no markup."""
    return Text(text)


def _say(out: Console, text: str) -> None:
    out.print(_plain(text))


def _copy(out: Console, toml: str) -> None:
    _say(out, "To copy into penstock.toml:")
    out.print(_plain(toml), soft_wrap=True)
