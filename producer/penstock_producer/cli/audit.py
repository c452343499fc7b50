"""``penstock audit``: proof that charges, waste and idle add up to price x time."""

import json
import sys
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock_shared import clock, money
from penstock_shared.cli import settings_of
from penstock_shared.ledger import auditing
from penstock_shared.ledger.auditing import Audit, Life, LifeState, Window
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import check_schema

AUDIT_EXAMPLES: Final = (
    "Examples: penstock audit; penstock audit --since 2026-11-01 --until 2026-12-01 --json"
)
out = Console(highlight=False, emoji=False)
_AMOUNTS: Final = {
    "price_time_usd": "paid_pusd",
    "charges_usd": "charged_pusd",
    "waste_usd": "waste_pusd",
    "idle_usd": "idle_pusd",
    "in_flight_usd": "in_flight_pusd",
    "difference_usd": "difference_pusd",
}
_WHY: Final = {
    "queued": "waits for a worker",
    "running": "is at a worker",
    "failed": "its request cannot be served; what was tried is waste",
    "cancelled": "withdrawn or dropped; what was begun is waste",
    "expired": "its deadline passed; what was begun is waste",
    "dead": "every attempt was lost; they are waste",
    "cached": "answered from the cache, charged 0",
    "joined": "an identical prompt was in the engine and paid, charged 0",
    "embedding": "made by the encoder beside the engine, charged 0",
    "free": "cost less than a picodollar, charged 0",
}


def audit(
    since: Annotated[str | None, typer.Option(help="from this moment on, like 2026-11-23")] = None,
    until: Annotated[str | None, typer.Option(help="until before this, 2026-11-23T18:00Z")] = None,
    jobs: Annotated[bool, typer.Option(help="also list every job without a charge")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print facts as one JSON line")] = False,
) -> None:
    """Prove that charges, waste and idle are price x time; exit status 1 if not.

    A worker counts whole, where its life ended or it was last seen; a job where it was accepted.
    """
    window = Window(_moment(since, "--since"), _moment(until, "--until"))
    settings = settings_of()
    database = Database(settings.ledger)
    try:
        check_schema(database)
        silent_before = clock.now_ms() - round(settings.worker.lease_s * 1000)
        found = auditing.audit(database, window, silent_before_ms=silent_before)
        listed = list(auditing.uncharged_jobs(database, window)) if jobs else None
    finally:
        database.close()
    if as_json:
        _print_json(found, window, listed)
    else:
        _print(found, listed)
    if found.problems:
        raise typer.Exit(1)


def _moment(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        return clock.from_datetime(datetime.fromisoformat(text))
    except ValueError:
        raise typer.BadParameter(
            f"{option}: {text!r} is no moment; write 2026-11-23 or 2026-11-23T18:00:00Z"
        ) from None


def _print(found: Audit, listed: list[tuple[str, str]] | None) -> None:
    if found.lives:
        out.print(_workers(found))
    else:
        out.print("no worker lived then")
    if found.uncharged:
        out.print(_uncharged(found))
    for job_id, reason in listed or ():
        out.print(f"{job_id} {reason}", markup=False, soft_wrap=True)
    for problem in found.problems:
        out.print(f"[red]wrong[/] {escape(problem)}", soft_wrap=True)
    if not found.problems:
        out.print("[green]everything adds up[/], to the last picodollar")


def _workers(found: Audit) -> Table:
    table = Table("worker", "tier", "life", "hours", title="what workers were paid for, in USD")
    for name in ("price x time", "charges", "waste", "idle", "in flight", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    for life in found.lives:
        hours = f"{(life.until_ms - life.started_ms) / 3_600_000:.2f}"
        facts = (escape(life.worker_id), escape(life.tier), life.state.value, hours)
        table.add_row(*facts, *(_usd(getattr(life, column)) for column in _AMOUNTS.values()))
    table.add_section()
    totals = (_usd(found.total(column)) for column in _AMOUNTS.values())
    table.add_row("all", "", "", "", *totals, style="bold")
    return table


def _uncharged(found: Audit) -> Table:
    table = Table("jobs without a charge", "", "why", "for example")
    for each in found.uncharged:
        why = _WHY.get(each.reason, "this must not be")
        table.add_row(each.reason, f"{each.jobs:,}", why, escape(each.example))
    return table


def _print_json(found: Audit, window: Window, listed: list[tuple[str, str]] | None) -> None:
    facts: dict[str, Any] = {
        "adds_up": not found.problems,
        "since": None if window.since_ms is None else clock.to_iso(window.since_ms),
        "until": None if window.until_ms is None else clock.to_iso(window.until_ms),
        **{key: _usd(found.total(column)) for key, column in _AMOUNTS.items()},
        "charges": found.total("charges"),
        "workers": [_facts(life) for life in found.lives],
        "jobs_without_charge": [
            {"reason": u.reason, "jobs": u.jobs, "example": u.example, "is_wrong": u.is_wrong}
            for u in found.uncharged
        ],
        "problems": found.problems,
    }
    if listed is not None:
        facts["jobs"] = [{"job_id": job_id, "reason": reason} for job_id, reason in listed]
    sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")


def _facts(life: Life) -> dict[str, Any]:
    is_known = life.state is not LifeState.UNKNOWN
    return {
        "worker_id": life.worker_id,
        "tier": life.tier,
        "state": life.state.value,
        "started": clock.to_iso(life.started_ms) if is_known else None,
        "until": clock.to_iso(life.until_ms) if is_known else None,
        **{key: _usd(getattr(life, column)) for key, column in _AMOUNTS.items()},
        "charges": life.charges,
    }


def _usd(picodollars: int) -> str:
    """Exact, as a plain decimal number."""
    return money.usd_text(money.to_usd(picodollars))
