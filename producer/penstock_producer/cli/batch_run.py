"""``penstock batch run | submit``: an input becomes jobs, and their answers become a file."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.console import Console

from penstock_producer.batch import estimating
from penstock_producer.batch.estimating import Estimate
from penstock_producer.batch.preparing import Preparation, prepare
from penstock_producer.batch.reading import ReadOptions, Source
from penstock_producer.batch.running import BatchRun, RunOptions
from penstock_producer.cli import batch_options as options
from penstock_producer.cli import batch_outcome, batch_views
from penstock_producer.cli.batch_interrupt import Interrupt
from penstock_producer.cli.batch_watch import Watch
from penstock_producer.cli.facts import open_ledger, print_json
from penstock_shared import clock, money
from penstock_shared.cli import settings_of
from penstock_shared.errors import InvalidBatch, InvalidRequest
from penstock_shared.ledger.batches import measuring, overview, records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState

RUN_EXAMPLES: Final = (
    "Examples: penstock batch run questions.jsonl -o answers.jsonl --max-cost 5; "
    "penstock batch run news.csv -o news.out.csv --template 'Tóm tắt: {{ text }}' --id-column id; "
    "zcat big.jsonl.gz | penstock batch run - -o - > answers.jsonl"
)
SUBMIT_EXAMPLES: Final = "Example: penstock batch submit questions.jsonl --workflow nightly"
err = Console(stderr=True, highlight=False, emoji=False)


class Plan(NamedTuple):
    """What the flags say: how to read, how to run, and what to ask or print."""

    path: str
    read: ReadOptions
    run: RunOptions
    dry_run: bool
    as_json: bool
    yes: bool


def run(
    path: options.Input,
    out: Annotated[str, typer.Option("--out", "-o", help="answers; - is standard output")],
    errors: Annotated[
        str | None, typer.Option(help="lines without an answer; default: OUT.errors.jsonl")
    ] = None,
    template: options.Template = None,
    system: options.System = None,
    id_column: options.IdColumn = None,
    input_format: options.InputFormat = None,
    chunk: options.Chunk = None,
    overlap: options.Overlap = 0,
    map_prompt: options.MapPrompt = None,
    tier: options.Tier = None,
    task_type: options.Kind = None,
    tenant: options.Tenant = "default",
    workflow: options.Workflow = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    schema: options.Schema = None,
    cache: options.Cache = True,
    skip_invalid: options.SkipInvalid = False,
    max_cost: options.MaxCost = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    yes: options.Yes = False,
) -> None:
    """Answer every line of a file; stopped anywhere, the same command goes on.

    Exit status 0 when lines have answers, 1 when none has, 79 when --max-cost stopped it.
    """
    given = dict(locals())
    _go(_plan(given, RunOptions(out=out, errors=errors, **_run_fields(given))), waits=True)


def submit(
    path: options.Input,
    template: options.Template = None,
    system: options.System = None,
    id_column: options.IdColumn = None,
    input_format: options.InputFormat = None,
    chunk: options.Chunk = None,
    overlap: options.Overlap = 0,
    map_prompt: options.MapPrompt = None,
    tier: options.Tier = None,
    task_type: options.Kind = None,
    tenant: options.Tenant = "default",
    workflow: options.Workflow = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    schema: options.Schema = None,
    cache: options.Cache = True,
    skip_invalid: options.SkipInvalid = False,
    max_cost: options.MaxCost = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    yes: options.Yes = False,
) -> None:
    """Load every line into the ledger, print the batch's id, and do not wait for answers."""
    given = dict(locals())
    _go(_plan(given, RunOptions(out=None, errors=None, **_run_fields(given))), waits=False)


def _plan(given: dict[str, Any], run_options: RunOptions) -> Plan:
    others = {"path", "out", "errors", "skip_invalid", "max_cost", "dry_run", "as_json", "yes"}
    read = options.read_options(**{k: v for k, v in given.items() if k not in others})
    return Plan(given["path"], read, run_options, given["dry_run"], given["as_json"], given["yes"])


def _run_fields(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "skip_invalid": given["skip_invalid"],
        "max_cost_usd": usd_option(given["max_cost"]),
        "tenant": given["tenant"],
        "workflow": given["workflow"],
    }


def usd_option(text: str | None) -> Decimal | None:
    """An amount of --max-cost. Raises InvalidRequest."""
    if text is None:
        return None
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise InvalidRequest(f"--max-cost: {text!r} is no amount above 0; write USD, like 2.50")
    return amount


def _go(plan: Plan, *, waits: bool) -> None:
    settings = settings_of()
    with open_ledger() as database, _spool(settings) as spool:
        source = Source.open(plan.path, plan.read, settings, spool=spool)
        with Watch(err, lambda _: ()) as watch:
            preparation = prepare(source, settings, on_progress=watch.read)
        estimate = estimating.estimate(preparation.tiers, settings, database)
        _show(plan, preparation, estimate)
        if plan.dry_run:
            return
        if not plan.yes:
            _ask(plan, preparation, database)
        batch = BatchRun(settings, database, source, plan.run)
        record = batch.start(preparation)
        if waits:
            _wait(plan, settings, database, batch, record)
        else:
            _load(plan, batch, record)


def _show(plan: Plan, preparation: Preparation, estimate: Estimate) -> None:
    """The estimate and wrong lines. Raises InvalidBatch for lines that nobody said to skip."""
    stops = bool(preparation.error_count) and not plan.run.skip_invalid
    if plan.as_json and (plan.dry_run or stops):
        facts = batch_views.estimate_facts(preparation, estimate)
        print_json({**facts, "errors": batch_views.error_facts(preparation)})
    if preparation.error_count and not plan.as_json:
        err.print(batch_views.errors_table(preparation))
    if stops:
        raise InvalidBatch(
            f"{preparation.error_count:,} of {preparation.total:,} lines are wrong, and nothing "
            "was accepted; mend them, or put them into ERR with --skip-invalid"
        )
    if not plan.as_json:
        target = Console(highlight=False, emoji=False) if plan.dry_run else err
        target.print(batch_views.estimate_table(preparation, estimate))


def _ask(plan: Plan, preparation: Preparation, database: Database) -> None:
    """Ask a person at a terminal, before a batch begins that was not begun before."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    out = plan.run.out if plan.run.out in (None, options.STANDARD) else _absolute(plan.run.out)
    if out is not None and records.newest(database, out=out, digest=preparation.digest):
        return
    typer.confirm("Start?", default=True, abort=True, err=True)


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def _wait(
    plan: Plan, settings: Settings, database: Database, batch: BatchRun, record: BatchRecord
) -> None:
    def idle_tiers(_: object) -> list[str]:
        silent_before = clock.now_ms() - round(settings.worker.lease_s * 1000)
        live = measuring.live_workers(database, seen_since_ms=silent_before)
        without = [tier for tier in settings.tiers if not live.get(tier)]
        return overview.waiting_tiers(database, record.id, without)

    if not plan.as_json:
        err.print(f"batch {record.id}", markup=False, soft_wrap=True)
    with Interrupt() as interrupt, Watch(err, idle_tiers) as watch:
        summary = batch.run(on_progress=watch.run, stop=interrupt.asked)
        if interrupt.asked.is_set():
            batch_outcome.pause_and_leave(database, record.id, err, interrupt.exit_status)
    batch_outcome.report(summary, plan.run, err, as_json=plan.as_json)


def _load(plan: Plan, batch: BatchRun, record: BatchRecord) -> None:
    with Watch(err, lambda _: ()) as watch:
        batch.load(on_progress=watch.run)
    if plan.as_json:
        print_json({"batch_id": record.id, "total": record.total})
    else:
        sys.stdout.write(record.id + "\n")


@contextmanager
def _spool(settings: Settings) -> Iterator[Path]:
    """A folder for standard input and other large things, beside the ledger."""
    settings.home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="batch-", dir=settings.home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
