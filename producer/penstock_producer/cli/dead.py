"""``penstock dead list | show | retry | drop``: jobs of which every attempt was lost."""

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock_producer.cli.facts import open_ledger, print_json
from penstock_shared import clock, money
from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger import dead as ledger
from penstock_shared.ledger import reading
from penstock_shared.ledger.database import Database

app = typer.Typer(
    help="Jobs that died: every attempt was lost. Look at them, then retry or drop them.",
    no_args_is_help=True,
)
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

AsJson = Annotated[bool, typer.Option("--json", help="print facts as JSON lines")]
Jobs = Annotated[list[str] | None, typer.Argument(metavar="JOB...")]
All = Annotated[bool, typer.Option("--all", help="all that 'penstock dead list' shows")]
Tier = Annotated[str | None, typer.Option(help="only of this tier")]
Tenant = Annotated[str | None, typer.Option(help="only of this tenant")]
EVERY = 1_000_000_000


@app.command("list", epilog="Example: penstock dead list --tier large --json")
def show_list(
    tier: Tier = None,
    tenant: Tenant = None,
    limit: Annotated[int, typer.Option(min=1, help="the last so many")] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead jobs, those that died last first."""
    with open_ledger() as database:
        found = ledger.dead_jobs(database, tier=tier, tenant=tenant, limit=limit)
    if as_json:
        for job in found:
            print_json(job._asdict())
        return
    table = Table("died", "tier", "task type", "tenant", "attempts", "why")
    table.add_column("job", no_wrap=True)
    for job in found:
        died = clock.to_iso(job.finished_ms)
        facts = (died, job.tier, job.task_type, job.tenant, str(job.attempts), job.error or "")
        table.add_row(*map(escape, facts), escape(job.job_id))
    out.print(table if found else "no job is dead")


@app.command(epilog="Example: penstock dead show JOB")
def show(job_id: Annotated[str, typer.Argument(metavar="JOB")], as_json: AsJson = False) -> None:
    """Show what became of each attempt of a job; its prompt stays in the ledger."""
    with open_ledger() as database:
        job = reading.fetch_one(database, job_id)
        attempts = ledger.attempts_of(database, job_id)
    if as_json:
        print_json(
            {
                **job.model_dump(mode="json", include={"job_id", "status", "tier", "error"}),
                "attempts": [attempt._asdict() for attempt in attempts],
            }
        )
        return
    out.print(f"{job.job_id} {job.status.value}, {job.tier}: {job.error or ''}", markup=False)
    table = Table("attempt", "worker", "started", "ended", "outcome", "why", "waste")
    for attempt in attempts:
        ended = "" if attempt.ended_ms is None else clock.to_iso(attempt.ended_ms)
        waste = money.usd_text(money.to_usd(attempt.waste_pusd))
        facts = (attempt.worker_id, clock.to_iso(attempt.started_ms), ended, attempt.outcome)
        table.add_row(
            str(attempt.fence), *map(escape, facts), escape(attempt.error or ""), f"${waste}"
        )
    out.print(table)


@app.command(epilog="Example: penstock dead retry --all --tier large")
def retry(
    job_ids: Jobs = None,
    every: All = False,
    tier: Tier = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Give dead jobs all their attempts again; a worker's next sweep publishes them."""
    _change(ledger.retry, "queued", job_ids, (every, tier, tenant), as_json=as_json)


@app.command(epilog="Example: penstock dead drop JOB")
def drop(
    job_ids: Jobs = None,
    every: All = False,
    tier: Tier = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Give dead jobs up: they end as cancelled, and are listed no more."""

    def change(database: Database, chosen: list[str]) -> list[str]:
        return ledger.drop(database, chosen, clock.now_ms())

    _change(change, "cancelled", job_ids, (every, tier, tenant), as_json=as_json)


def _change(
    change: Callable[[Database, list[str]], list[str]],
    state: str,
    job_ids: list[str] | None,
    choice: tuple[bool, str | None, str | None],
    *,
    as_json: bool,
) -> None:
    every, tier, tenant = choice
    if bool(job_ids) == every:
        raise InvalidRequest("name jobs, or say --all")
    with open_ledger() as database:
        if every:
            listed = ledger.dead_jobs(database, tier=tier, tenant=tenant, limit=EVERY)
            chosen = [job.job_id for job in listed]
        else:
            chosen = list(job_ids or ())
            _check_dead(database, chosen)
        changed = change(database, chosen)
    for job_id in changed:
        if as_json:
            print_json({"job_id": job_id, "status": state})
        else:
            out.print(f"{job_id} {state}", markup=False, soft_wrap=True)
    if not changed:
        err.print("no job is dead")


def _check_dead(database: Database, job_ids: list[str]) -> None:
    for job_id in job_ids:
        job = reading.fetch_one(database, job_id)
        if job.status != "dead":
            raise InvalidRequest(
                f"job {job_id} is {job.status.value}, not dead; nothing was changed"
            )
