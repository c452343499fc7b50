"""``penstock batch results | cancel | pause | resume | retry-failed``."""

import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from penstock_producer.batch.collecting import write_results
from penstock_producer.batch.pausing import BY_OPERATOR
from penstock_producer.batch.shape import is_standard_output
from penstock_producer.cli import batch_options as options
from penstock_producer.cli.batch_input import find_input, has_columns
from penstock_producer.cli.facts import open_ledger, print_json
from penstock_shared import clock, money
from penstock_shared.cli import settings_of
from penstock_shared.errors import BatchStopped, InvalidRequest
from penstock_shared.ledger.batches import lines, records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.words import BatchState

err = Console(stderr=True, highlight=False, emoji=False)


def results(
    batch_id: options.BatchId,
    out: Annotated[str, typer.Option("--out", "-o", help="answers; - is standard output")],
    errors: Annotated[str | None, typer.Option(help="lines without an answer")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the answers that are there already; the rest of the batch runs on."""
    settings = settings_of()
    with open_ledger() as database:
        record = records.get(database, batch_id)
        source = None
        if has_columns(record):
            source = find_input(record, settings, settings.home)
            if source is None:
                err.print("[yellow]note[/]: the input is gone or changed; its columns are left out")
        answered, failed = write_results(database, batch_id, out=out, errors=errors, source=source)
    facts = {"batch_id": batch_id, "out_lines": answered, "error_lines": failed}
    said = f"{answered:,} answers and {failed:,} errors of {record.total:,} lines"
    if as_json:
        print_json(facts, sys.stderr if is_standard_output(out) else sys.stdout)
    else:
        err.print(said, markup=False)


def cancel(batch_id: options.BatchId, as_json: options.AsJson = False) -> None:
    """Withdraw every line that has not ended; what has ended stays."""
    with open_ledger() as database:
        _say(records.cancel(database, batch_id, clock.now_ms()), as_json=as_json)


def pause(batch_id: options.BatchId, as_json: options.AsJson = False) -> None:
    """Let no worker begin another line; those that run end."""
    with open_ledger() as database:
        _say(records.pause(database, batch_id, reason=BY_OPERATOR), as_json=as_json)


def resume(
    batch_id: options.BatchId, max_cost: options.MaxCost = None, as_json: options.AsJson = False
) -> None:
    """Go on with a paused batch; with --max-cost, up to a new limit of money."""
    amount = options.usd_option(max_cost)
    limit_pusd = None if amount is None else money.from_usd(amount)
    with open_ledger() as database:
        record = records.get(database, batch_id)
        if record.state.is_terminal:
            raise BatchStopped(f"batch {batch_id} is {record.state.value}; it does not go on")
        _check_limit(record, limit_pusd)
        _say(records.resume(database, batch_id, max_cost_pusd=limit_pusd), as_json=as_json)


def retry_failed(batch_id: options.BatchId, as_json: options.AsJson = False) -> None:
    """Give failed, dead and expired lines all their attempts again; a paused batch stays paused."""
    with open_ledger() as database:
        records.get(database, batch_id)
        retried = lines.retry_failed(database, batch_id)
        record = records.get(database, batch_id)
    if not as_json:
        paused = record.state is BatchState.PAUSED
        when = f" after 'penstock batch resume {batch_id}'" if paused else ""
        err.print(f"{retried:,} lines are tried again{when}", markup=False)
    _say(record, as_json=as_json, retried=retried)


def _check_limit(record: BatchRecord, limit_pusd: int | None) -> None:
    """A limit that is reached already would only pause it again."""
    limit = record.max_cost_pusd if limit_pusd is None else limit_pusd
    if limit is not None and limit <= record.spent_pusd:
        spent = money.usd_text(money.to_usd(record.spent_pusd))
        raise InvalidRequest(f"the batch has spent {spent} USD; write a higher --max-cost")


def _say(record: BatchRecord, *, as_json: bool, **more: Any) -> None:
    if as_json:
        facts = {"batch_id": record.id, "state": record.state.value}
        print_json({**facts, "stopped_by": record.stopped_by, **more})
        return
    why = f" ({record.stopped_by})" if record.state is BatchState.PAUSED else ""
    sys.stdout.write(f"{record.id} {record.state.value}{why}\n")
