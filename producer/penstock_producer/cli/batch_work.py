"""What ``penstock batch run`` and ``submit`` do: check, estimate, begin, watch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, NamedTuple

import typer
from rich.console import Console

from penstock_producer.batch import beginning, estimating
from penstock_producer.batch.estimating import Estimate
from penstock_producer.batch.own_folder import own_folder
from penstock_producer.batch.pausing import BY_OPERATOR
from penstock_producer.batch.preparing import Preparation, prepare
from penstock_producer.batch.reading import ReadOptions, Source
from penstock_producer.batch.running import BatchRun, RunOptions
from penstock_producer.cli import batch_outcome, batch_views
from penstock_producer.cli.batch_interrupt import Interrupt, tidy_exit
from penstock_producer.cli.batch_watch import Watch
from penstock_producer.cli.facts import open_ledger, print_json
from penstock_shared import clock
from penstock_shared.cli import settings_of
from penstock_shared.errors import BatchStopped
from penstock_shared.ids import new_job_id
from penstock_shared.ledger.batches import measuring, overview, records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState

SUBMITTED: Final = "submit:"  # begins what stands in the place of an output file
_SEARCHED: Final = 100
err = Console(stderr=True, highlight=False, emoji=False)
out = Console(highlight=False, emoji=False)


class Plan(NamedTuple):
    """What the flags say: how to read, how to run, and what to ask or print."""

    path: str
    read: ReadOptions
    run: RunOptions
    dry_run: bool
    as_json: bool
    yes: bool


class _Ready(NamedTuple):
    """An input that was checked and estimated."""

    settings: Settings
    database: Database
    source: Source
    preparation: Preparation


def work(plan: Plan) -> None:
    """Answer every line, and write the answers."""
    with _ready(plan) as ready:
        if ready is None:
            return
        batch = BatchRun(ready.settings, ready.database, ready.source, plan.run)
        if not _is_known(plan.run, ready):
            _ask(plan)
        record = batch.start(ready.preparation)
        _watch(plan, ready, batch, record)


def load(plan: Plan) -> None:
    """Load every line; workers answer them, and nobody waits."""
    with _ready(plan) as ready:
        if ready is None:
            return
        key = _key_of_half_loaded(plan, ready) or f"{SUBMITTED}{new_job_id()}"
        run = replace(plan.run, key=key)
        batch = BatchRun(ready.settings, ready.database, ready.source, run)
        _ask(plan)
        record = batch.start(ready.preparation)
        with Interrupt() as interrupt, err.status("loading"):
            record = batch.load(interrupt.asked, waits=False)
            if interrupt.asked.is_set():
                batch_outcome.pause_and_leave(ready.database, record.id, err, interrupt.exit_status)
        if plan.as_json:
            facts = {"batch_id": record.id, "total": record.total}
            print_json({**facts, **batch_views.skipped_facts(ready.source)})
        else:
            sys.stdout.write(record.id + "\n")
        if record.is_loaded and record.state is BatchState.PAUSED:
            why = record.stopped_by or BY_OPERATOR
            err.print(f"paused: {why}; to go on: penstock batch resume {record.id}", markup=False)
        if not record.is_loaded:
            raise BatchStopped(
                f"batch {record.id} is paused: {record.stopped_by or BY_OPERATOR}; "
                f"{record.loaded:,} of {record.total:,} lines are loaded; to load the others and "
                "go on, run the same command when there is room"
            )


@contextmanager
def _ready(plan: Plan) -> Iterator[_Ready | None]:
    """None when nothing is to be done. Raises InvalidBatch for lines that nobody said to skip."""
    settings = settings_of()
    with tidy_exit(), open_ledger() as database, own_folder(settings.home) as folder:
        source = Source.open(plan.path, plan.read, settings, spool=folder)
        with Watch(err, lambda _: ()) as watch:
            preparation = prepare(source, settings, on_progress=watch.read)
        estimate = estimating.estimate(preparation, settings, database)
        _show(plan, source, preparation, estimate)
        yield None if plan.dry_run else _Ready(settings, database, source, preparation)


def _show(plan: Plan, source: Source, preparation: Preparation, estimate: Estimate) -> None:
    stops = bool(preparation.error_count) and not plan.run.skip_invalid
    if plan.as_json:
        if plan.dry_run or stops:
            facts = batch_views.estimate_facts(preparation, estimate)
            errors = batch_views.error_facts(preparation)
            print_json({**facts, "errors": errors, **batch_views.skipped_facts(source)})
    else:
        err.print(batch_views.skipped_view(source), markup=False, end="")
        if preparation.error_count:
            err.print(batch_views.errors_table(preparation, source.kind))
    beginning.check(preparation, plan.run)
    if not plan.as_json:
        console = out if plan.dry_run else err
        console.print(batch_views.estimate_view(preparation, estimate))


def _ask(plan: Plan) -> None:
    """Ask a person at a terminal before money is spent."""
    if not plan.yes and sys.stdin.isatty() and sys.stderr.isatty():
        typer.confirm("Start?", default=True, abort=True, err=True)


def _is_known(run: RunOptions, ready: _Ready) -> bool:
    """Whether this very command was started before."""
    return beginning.find(ready.database, ready.preparation, run) is not None


def _key_of_half_loaded(plan: Plan, ready: _Ready) -> str | None:
    """The same input, submitted before by a command that was killed while it loaded."""
    known = records.newest(
        ready.database,
        tenant=plan.run.tenant,
        digest=ready.preparation.digest,
        limit=_SEARCHED,
    )
    for record in known:
        is_open = not record.is_loaded and not record.state.is_terminal
        if is_open and (record.out or "").startswith(SUBMITTED):
            return record.out
    return None


def _watch(plan: Plan, ready: _Ready, batch: BatchRun, record: BatchRecord) -> None:
    settings, database = ready.settings, ready.database

    def idle_tiers(_: object) -> list[str]:
        silent_before = clock.now_ms() - round(settings.worker.lease_s * 1000)
        live = measuring.live_workers(database, seen_since_ms=silent_before)
        without = [tier for tier in settings.tiers if not live.get(tier)]
        return overview.waiting_tiers(database, record.id, without)

    if not plan.as_json:
        err.print(f"batch {record.id}", markup=False, soft_wrap=True)
    with Interrupt() as interrupt:
        with Watch(err, idle_tiers) as watch:
            summary = batch.run(on_progress=watch.run, stop=interrupt.asked)
        if interrupt.asked.is_set():
            batch_outcome.pause_and_leave(database, record.id, err, interrupt.exit_status)
    facts = batch_views.skipped_facts(ready.source) if plan.as_json else None
    batch_outcome.report(summary, plan.run, err, facts)
