"""A report: what the ledger knows, as sections. Money is picodollars."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from penstock_producer.report import local
from penstock_producer.report.saved import savings_of
from penstock_producer.report.sections import (
    OTHERS,
    Cell,
    Chart,
    ChartKind,
    Column,
    Currency,
    Kind,
    Section,
)
from penstock_shared.ledger.reporting.facts import NOTHING, Dimension, Scope
from penstock_shared.ledger.reporting.lines import LENGTHS, PERCENTILES, Line
from penstock_shared.ledger.reporting.read import Findings
from penstock_shared.ledger.reporting.workers import TierTime

_TITLES: Final = {
    Dimension.TIER: "tier",
    Dimension.TASK_TYPE: "task type",
    Dimension.TENANT: "tenant",
    Dimension.WORKFLOW: "workflow",
    Dimension.DAY: "day",
    Dimension.SOURCE: "source of the answer",
}
_SOURCES: Final = {
    "engine": "engine",
    "exact": "cached, the same prompt",
    "semantic": "cached, the same meaning",
    "joined": "joined, was in the engine",
}
_NOTES: Final = {
    Dimension.TENANT: "The dearest first.",
    Dimension.WORKFLOW: "The dearest first: one row for each agent's run or pipeline.",
    Dimension.SOURCE: "Cached and joined answers are charged 0.",
}
_OF_REQUESTS: Final = (
    *(Column(f"p{percent}", f"p{percent}", Kind.MONEY) for percent in PERCENTILES),
    Column("per_1000_tokens", "1,000 tokens", Kind.MONEY),
)


class Report(NamedTuple):
    """Everything that is shown, and what it is of."""

    scope: Scope
    zone: ZoneInfo
    currency: Currency
    total: Line
    sections: list[Section]
    made_ms: int
    first_ms: int | None  # the first and the last charge
    last_ms: int | None


def make_report(
    findings: Findings,
    scope: Scope,
    *,
    zone: ZoneInfo,
    currency: Currency,
    largest: str,
    made_ms: int,
) -> Report:
    """Put the sections together; ``largest`` is the tier that routing saves."""
    whole = findings.total
    sections = [_totals(whole)]
    sections += [_breakdown(key, lines, whole) for key, lines in findings.by.items()]
    sections += [_workers(findings.workers, scope), _lengths(findings.lengths)]
    sections.append(_savings(findings, largest, currency))
    sections.append(_dearest(findings, zone))
    first, last = findings.span or (None, None)
    return Report(scope, zone, currency, whole, sections, made_ms, first, last)


def _line_columns(name: str, title: str) -> tuple[Column, ...]:
    return (
        Column(name, title, Kind.TEXT),
        Column("requests", "requests", Kind.COUNT),
        Column("cost", "cost", Kind.MONEY),
        Column("share", "share", Kind.SHARE),
        Column("without_engine", "cached", Kind.SHARE),
        Column("prompt_tokens", "prompt tokens", Kind.COUNT, is_narrow=False),
        Column("output_tokens", "output tokens", Kind.COUNT, is_narrow=False),
        Column("mean", "mean", Kind.MONEY, is_narrow=False),
        *_OF_REQUESTS,
    )


def _cells(label: str, line: Line, whole: Line) -> tuple[Cell, ...]:
    without = line.requests - line.by_engine
    return (
        label,
        line.requests,
        line.amount_pusd,
        Fraction(line.amount_pusd, whole.amount_pusd) if whole.amount_pusd else None,
        Fraction(without, line.requests) if line.requests else None,
        line.prompt_tokens,
        line.output_tokens,
        line.mean_pusd,
        *(line.percentiles_pusd or (None,) * len(PERCENTILES)),
        line.per_1000_tokens_pusd,
    )


def _totals(whole: Line) -> Section:
    note = (
        "p50, p95 and p99: so many of 100 requests cost no more than this, within 1 %. "
        "Requests that the cache answered count, with a cost of 0. Tokens are those of prompts "
        "and answers together."
    )
    columns = _line_columns("name", "")
    return Section("total", "In all", note, columns, [_cells("all", whole, whole)])


def _breakdown(dimension: Dimension, lines: list[Line], whole: Line) -> Section:
    title = _TITLES[dimension]
    kind = ChartKind.COLUMNS if dimension is Dimension.DAY else ChartKind.BARS
    rows = (
        list(_days(lines, whole))
        if dimension is Dimension.DAY
        else [_cells(_label(dimension, line.key), line, whole) for line in lines]
    )
    return Section(
        f"by_{dimension.value}",
        f"By {title}",
        _NOTES.get(dimension, ""),
        _line_columns(dimension.value, title),
        rows,
        Chart(kind, ("cost",)),
    )


def _days(lines: list[Line], whole: Line) -> Iterator[tuple[Cell, ...]]:
    found = {int(line.key or 0): line for line in lines}
    for day in local.days_between(min(found), max(found)) if found else ():
        line = found.get(day, Line(day, 0, 0, 0, 0, 0, None))
        yield _cells(local.day_text(day), line, whole)


def _label(dimension: Dimension, key: str | int | None) -> str:
    if key is None:
        return OTHERS
    if dimension is Dimension.SOURCE:
        return _SOURCES.get(str(key), str(key))
    return "(none)" if key == NOTHING else str(key)


def _workers(workers: list[TierTime], scope: Scope) -> Section:
    columns = (
        Column("tier", "tier", Kind.TEXT),
        Column("lives", "workers", Kind.COUNT),
        Column("hours", "hours", Kind.HOURS),
        Column("paid", "paid", Kind.MONEY),
        Column("charged", "charged", Kind.MONEY),
        Column("waste", "waste", Kind.MONEY),
        Column("idle", "idle", Kind.MONEY),
        Column("in_flight", "in flight", Kind.MONEY, is_narrow=False),
        Column("utilization", "utilization", Kind.SHARE),
        Column("idle_share", "idle share", Kind.SHARE),
    )
    note = "Price x time. Utilization is what is not idle. Idle time is nobody's charge."
    if any(each.partial for each in workers):
        note += (
            f" {sum(each.partial for each in workers):,} workers lived beyond this period: of what "
            "they were paid for, a part counts, as large as the part of their time in it."
        )
    if scope.tenant is not None:
        note += " Workers serve all tenants: this is not of one."
    chart = Chart(ChartKind.PARTS, ("charged", "waste", "in_flight", "idle"))
    rows = [_time(each) for each in workers]
    return Section("workers", "What workers were paid for", note, columns, rows, chart)


def _time(time: TierTime) -> tuple[Cell, ...]:
    idle = Fraction(time.idle_pusd, time.paid_pusd) if time.paid_pusd else None
    return (
        time.tier,
        time.lives,
        Fraction(time.worker_ms, 3_600_000),
        time.paid_pusd,
        time.charged_pusd,
        time.waste_pusd,
        time.idle_pusd,
        time.open_pusd,
        None if idle is None else 1 - idle,
        idle,
    )


def _lengths(lines: list[Line]) -> Section:
    columns = (
        Column("tokens", "tokens", Kind.TEXT),
        Column("requests", "requests", Kind.COUNT),
        Column("cost", "cost", Kind.MONEY),
        Column("mean", "mean", Kind.MONEY),
        *_OF_REQUESTS,
    )
    note = "Requests that engines answered, by the tokens of prompt and answer together."
    rows: list[tuple[Cell, ...]] = [
        (
            _length(int(line.key or 0)),
            line.requests,
            line.amount_pusd,
            line.mean_pusd,
            *(line.percentiles_pusd or ()),
            line.per_1000_tokens_pusd,
        )
        for line in lines
    ]
    chart = Chart(ChartKind.LINES, ("mean", "p50", "p95"))
    return Section("context_length", "Context length against cost", note, columns, rows, chart)


def _length(begin: int) -> str:
    place = LENGTHS.index(begin) + 1
    return f"{begin:,} to {LENGTHS[place] - 1:,}" if place < len(LENGTHS) else f"from {begin:,}"


def _savings(findings: Findings, largest: str, currency: Currency) -> Section:
    columns = (
        Column("what", "what", Kind.TEXT),
        Column("tier", "tier", Kind.TEXT),
        Column("saved", "saved", Kind.MONEY),
        Column("requests", "requests", Kind.COUNT),
        Column("basis", "how it is known", Kind.TEXT),
    )
    note = (
        "Cache, then and now are two prices of the same answers: do not add them. What is not "
        "measured is left open. Charges only; idle time would come on top."
    )

    def money(pusd: int) -> str:
        return f"{currency.short(pusd)} {currency.code}"

    rows: list[tuple[Cell, ...]] = [
        (each.what, each.tier, each.saved_pusd, each.requests, each.basis)
        for each in savings_of(findings, largest, money)
    ]
    return Section(
        "savings", "What was saved", note, columns, rows, Chart(ChartKind.BARS, ("saved",))
    )


def _dearest(findings: Findings, zone: ZoneInfo) -> Section:
    columns = (
        Column("job_id", "job", Kind.TEXT),
        Column("cost", "cost", Kind.MONEY),
        Column("tier", "tier", Kind.TEXT),
        Column("task_type", "task type", Kind.TEXT, is_narrow=False),
        Column("tenant", "tenant", Kind.TEXT),
        Column("workflow", "workflow", Kind.TEXT, is_narrow=False),
        Column("answered", "answered", Kind.TEXT, is_narrow=False),
        Column("prompt_tokens", "prompt", Kind.COUNT),
        Column("output_tokens", "output", Kind.COUNT),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            each.job_id,
            each.amount_pusd,
            each.tier,
            each.task_type,
            each.tenant,
            each.workflow,
            local.local_text(each.created_ms, zone),
            each.prompt_tokens,
            each.output_tokens,
        )
        for each in findings.dearest
    ]
    note = "penstock result JOB shows one of them."
    return Section("dearest_requests", "The most expensive requests", note, columns, rows)
