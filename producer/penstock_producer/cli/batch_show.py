"""``penstock batch list | show``."""

from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock_producer.cli import batch_options as options
from penstock_producer.cli import batch_views as views
from penstock_producer.cli import batch_words as words
from penstock_producer.cli.facts import on_one_line, open_ledger, print_json
from penstock_shared import clock, money
from penstock_shared.ledger.batches import lines, overview, records
from penstock_shared.ledger.batches.lines import Counts
from penstock_shared.ledger.batches.overview import Reason, TierStanding
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database

_SPEED_MS: Final = 60_000
out = Console(highlight=False, emoji=False)


class Standing(NamedTuple):
    """A batch in all detail."""

    record: BatchRecord
    counts: Counts
    unloaded: int  # lines that are not in the ledger yet
    tiers: list[TierStanding]
    reasons: list[Reason]
    lines_per_s: float | None


def show_list(
    tenant: Annotated[str | None, typer.Option(help="only of this tenant")] = None,
    limit: Annotated[int, typer.Option(min=1, help="the newest so many")] = 20,
    as_json: options.AsJson = False,
) -> None:
    """List batches, the newest first."""
    with open_ledger() as database:
        found = records.newest(database, tenant=tenant, limit=limit)
        counted = [(record, lines.count(database, record.id)) for record in found]
    if as_json:
        for record, counts in counted:
            print_json(_list_facts(record, counts))
        return
    if not counted:
        out.print("there is no batch; 'penstock batch run IN -o OUT' makes one")
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for heading in ("batch", "state, age", "done", "failed, cost"):
        table.add_column(heading, no_wrap=True)
    for record, counts in counted:
        table.add_row(*_list_cells(record, counts))
    out.print(table)


def show(batch_id: options.BatchId, as_json: options.AsJson = False) -> None:
    """Show where a batch stands, what it cost, and why lines failed."""
    with open_ledger() as database:
        standing = _standing(database, batch_id)
    if as_json:
        print_json(_facts(standing))
    else:
        _print(standing)


def _standing(database: Database, batch_id: str) -> Standing:
    record = records.get(database, batch_id)
    counts = lines.count(database, batch_id)
    return Standing(
        record,
        counts,
        max(0, record.total - counts.total),
        overview.by_tier(database, batch_id),
        overview.reasons(database, batch_id),
        _speed(database, record, counts),
    )


def _speed(database: Database, record: BatchRecord, counts: Counts) -> float | None:
    """Lines per second: of an ended batch over its whole life, else of the last minute."""
    now = clock.now_ms()
    if record.finished_ms is not None:
        took = max(1, record.finished_ms - record.created_ms)
        return counts.succeeded * 1000 / took
    window = min(_SPEED_MS, now - record.created_ms)
    return overview.ended_since(database, record.id, now - window) * 1000 / max(1, window)


def _list_facts(record: BatchRecord, counts: Counts) -> dict[str, Any]:
    """Exact, for scripts."""
    return {
        "batch_id": record.id,
        "label": record.label,
        "tenant": record.tenant,
        "workflow": record.workflow,
        "state": record.state.value,
        "stopped_by": record.stopped_by,
        "total": record.total,
        "counts": {**counts._asdict(), "unloaded": max(0, record.total - counts.total)},
        "cost_usd": views.usd(record.spent_pusd),
        "max_cost_usd": None if record.max_cost_pusd is None else views.usd(record.max_cost_pusd),
        "out": record.out,
        "created_at": clock.to_iso(record.created_ms),
        "finished_at": None if record.finished_ms is None else clock.to_iso(record.finished_ms),
    }


def _list_cells(record: BatchRecord, counts: Counts) -> tuple[str, ...]:
    """Two lines each."""
    age = views.age(record.created_ms, clock.now_ms())
    return (
        f"{record.id}\n{escape(on_one_line(record.label))}",
        f"{record.state.value}\n{age}",
        f"{views.bar(counts.ended, record.total)}\n{counts.ended:,}/{record.total:,}",
        f"{counts.without_answer:,}\n{words.dollars_of(record.spent_pusd)}",
    )


def _facts(standing: Standing) -> dict[str, Any]:
    return {
        **_list_facts(standing.record, standing.counts),
        "cached": sum(tier.cached for tier in standing.tiers),
        "lines_per_s": None if standing.lines_per_s is None else round(standing.lines_per_s, 3),
        "tiers": [_tier_facts(tier) for tier in standing.tiers],
        "reasons": [reason._asdict() for reason in standing.reasons],
    }


def _tier_facts(tier: TierStanding) -> dict[str, Any]:
    facts = tier._asdict()
    return {**facts, "cost_usd": views.usd(facts.pop("charged_pusd"))}


def _print(standing: Standing) -> None:
    for name, value in _lines(standing):
        out.print(f"{name:<10} {value}", markup=False, soft_wrap=True)
    if standing.tiers:
        out.print(_tier_table(standing.tiers))
    if standing.reasons:
        out.print(_reason_table(standing.reasons))


def _lines(standing: Standing) -> list[tuple[str, str]]:
    record, counts = standing.record, standing.counts
    why = f": {record.stopped_by}" if record.stopped_by else ""
    named = {**counts._asdict(), "not loaded yet": standing.unloaded}
    shown = ", ".join(f"{count:,} {name}" for name, count in named.items() if count)
    limit = "" if record.max_cost_pusd is None else f" of {words.dollars_of(record.max_cost_pusd)}"
    facts = [
        ("batch", record.id),
        ("input", on_one_line(record.label)),
        ("output", _output(record)),
        ("tenant", record.tenant + (f", workflow {record.workflow}" if record.workflow else "")),
        ("state", record.state.value + why),
        ("lines", f"{record.total:,} = {shown}"),
        ("cost", f"{words.dollars_of(record.spent_pusd)}{limit}"),
        ("cached", f"{sum(tier.cached for tier in standing.tiers):,} lines"),
        ("begun", clock.to_iso(record.created_ms)),
    ]
    if record.finished_ms is not None:
        facts.append(("ended", clock.to_iso(record.finished_ms)))
    if standing.lines_per_s is not None:
        over = "in the last minute" if record.finished_ms is None else "from begin to end"
        facts.append(("speed", f"{standing.lines_per_s:,.1f} lines/s {over}"))
    return facts


def _output(record: BatchRecord) -> str:
    """A file; what a batch without one has in its place begins with a word and a colon."""
    out = record.out or ""
    return out if Path(out).is_absolute() else f"none: penstock batch results {record.id} -o OUT"


def _tier_table(tiers: list[TierStanding]) -> Table:
    table = Table("tier")
    headings = ("queued", "running", "succeeded", "failed", "cached", "prompt", "answer", "cost")
    for heading in headings:
        table.add_column(heading, justify="right")
    for tier in tiers:
        table.add_row(
            escape(tier.tier),
            *(f"{number:,}" for number in tier[1:-1]),
            f"${money.usd_text(money.to_usd(tier.charged_pusd))}",
        )
    return table


def _reason_table(reasons: list[Reason]) -> Table:
    table = Table("lines", "first line", "state", "why")
    for each in reasons:
        why = escape(on_one_line(each.reason)) or "no reason kept"
        table.add_row(f"{each.lines:,}", f"{each.first_line:,}", each.state, why)
    return table
