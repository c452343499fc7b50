"""The batch that a command works on: the one that it made before, else a new one."""

from penstock_producer.batch.inputs import Input
from penstock_producer.batch.options import RunOptions
from penstock_producer.batch.output_places import check_places
from penstock_producer.batch.pausing import INTERRUPTED, may_go_on
from penstock_producer.batch.preparing import Preparation
from penstock_producer.batch.shape import Shape, place_of, shape_of
from penstock_shared import clock, money
from penstock_shared.errors import InvalidBatch
from penstock_shared.ids import new_job_id
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.words import BatchState


def check(preparation: Preparation, options: RunOptions) -> None:
    """Raises InvalidBatch when lines are wrong and nobody said to skip them."""
    if not preparation.error_count or options.skip_invalid:
        return
    first = preparation.errors[0]
    count = preparation.error_count
    others = f" ({count - 1:,} more lines are wrong)" if count > 1 else ""
    raise InvalidBatch(
        f"line {first.line}: {first.code}: {first.message}{others}; "
        "nothing was accepted; correct the input, or skip such lines",
        reason=first.code,
        line=first.line,
    )


def find_or_make(
    database: Database, source: Input, preparation: Preparation, options: RunOptions
) -> BatchRecord:
    """The newest batch with this tenant, output and input goes on; without one, a new one.

    Raises InvalidBatch when the output has something in it that is not of this batch.
    """
    place = options.key or (str(options.out_file) if options.out_file else None)
    if place is not None:
        known = records.newest(
            database, tenant=options.tenant, out=place, digest=preparation.digest
        )
        if known:
            check_places(known[0], options.out, options.errors)
            return _resumed(database, known[0], options)
        _check_empty(database, options, place)
    record = _new(source, preparation, options, place)
    check_places(record, options.out, options.errors)
    records.create(database, record)
    return record


def _resumed(database: Database, record: BatchRecord, options: RunOptions) -> BatchRecord:
    """Its own command lets a paused batch go on, and sets the limit of its money anew."""
    errors = Shape.of(record).errors
    if place_of(options.errors) != errors:
        raise InvalidBatch(
            f"lines without an answer of batch {record.id} go to "
            f"{errors or 'the usual place'}; name the same again, or another output"
        )
    limit = _limit(options)
    if record.state is BatchState.RUNNING and limit not in (None, record.max_cost_pusd):
        record = records.pause(database, record.id, INTERRUPTED)
    if may_go_on(record, limit):
        record = records.resume(database, record.id, max_cost_pusd=limit)
    return record


def _check_empty(database: Database, options: RunOptions, place: str) -> None:
    """A file that no batch of this input has begun must not be there, or be empty."""
    out = options.out_file
    others = records.newest(database, tenant=options.tenant, out=place)
    if options.key is not None:
        is_taken = bool(others)
    else:
        is_taken = out is not None and out.exists() and out.stat().st_size > 0
    if not is_taken:
        return
    if others:
        raise InvalidBatch(
            f"input_modified: {options.key or out} belongs to batch {others[0].id}, whose input "
            "was another one or read in another way; write to another place",
            reason="input_modified",
        )
    raise InvalidBatch(
        f"{out} exists, and no batch of this ledger wrote it; move it away, or write to another one"
    )


def _new(
    source: Input, preparation: Preparation, options: RunOptions, place: str | None
) -> BatchRecord:
    return BatchRecord(
        id=f"batch_{new_job_id()}",
        tenant=options.tenant,
        workflow=options.workflow,
        state=BatchState.RUNNING,
        label=options.label or source.label,
        out=place,
        digest=preparation.digest,
        options=shape_of(source, options.out, options.errors).to_json(),
        total=preparation.total,
        loaded=0,
        max_cost_pusd=_limit(options),
        spent_pusd=0,
        succeeded=0,
        stopped_by=None,
        created_ms=clock.now_ms(),
        finished_ms=None,
    )


def _limit(options: RunOptions) -> int | None:
    return None if options.max_cost_usd is None else money.from_usd(options.max_cost_usd)
