"""The batch that a command works on: the one that it made before, else a new one."""

from typing import Final

from penstock_producer.batch.inputs import Input
from penstock_producer.batch.options import RunOptions
from penstock_producer.batch.output_places import Places, check_places
from penstock_producer.batch.pausing import INTERRUPTED, may_go_on
from penstock_producer.batch.preparing import MODIFIED, Preparation
from penstock_producer.batch.shape import Shape, place_of, shape_of
from penstock_shared import clock, money
from penstock_shared.errors import InvalidBatch
from penstock_shared.ids import new_job_id
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.words import BatchState

_STREAM: Final = "stdout:"  # the place of all outputs that are no files


def check(preparation: Preparation, options: RunOptions) -> None:
    """Raises InvalidBatch when lines are wrong and nobody said to skip them."""
    if not preparation.error_count or options.skip_invalid:
        return
    first = preparation.errors[0]
    raise InvalidBatch(
        f"{preparation.error_count:,} of {preparation.total:,} lines are wrong, the first is line "
        f"{first.line}: {first.code}: {first.message}; nothing was accepted; mend them, or skip "
        "them (--skip-invalid, skip_invalid=True)",
        reason=first.code,
        line=first.line,
    )


def find_or_make(
    database: Database, source: Input, preparation: Preparation, options: RunOptions
) -> BatchRecord:
    """The batch that the same command made goes on; without one, a new one.

    Raises InvalidBatch when the output has something in it that is not of this batch.
    """
    place = _place(options)
    while True:
        others = _newest(database, options, place)
        known = find(database, preparation, options)
        if known is not None:
            check_places(known, options.out, options.errors)
            return _resumed(database, known, preparation, options)
        _check_empty(others, options)
        record = _new(source, preparation, options, place)
        check_places(record, options.out, options.errors)
        if records.create(database, record, after=others):
            return record


def find(database: Database, preparation: Preparation, options: RunOptions) -> BatchRecord | None:
    """The newest batch with this tenant, output and input, if the same command goes on with it.

    A cancelled one has nothing that could go on: without its files it is forgotten. Standard
    output shows everything again, so there one that has ended is not meant either.
    """
    known = _newest(database, options, _place(options), preparation.digest)
    if known is None:
        return None
    if known.out == _STREAM:
        return None if known.state.is_terminal else known
    is_forgotten = known.state is BatchState.CANCELLED and options.out_file is not None
    return None if is_forgotten and _is_empty(known, options) else known


def _place(options: RunOptions) -> str | None:
    """What finds a batch again; None: nothing does."""
    if options.key is not None or options.out is None:
        return options.key
    return str(options.out_file) if options.out_file else _STREAM


def _newest(
    database: Database, options: RunOptions, place: str | None, digest: str | None = None
) -> BatchRecord | None:
    if place is None:
        return None
    found = records.newest(database, tenant=options.tenant, out=place, digest=digest)
    return found[0] if found else None


def _is_empty(record: BatchRecord, options: RunOptions) -> bool:
    """Whether nothing stands in the files of a batch."""
    files = Places.of(Shape.of(record), options.out or "", options.errors).files
    return not any(file.exists() and file.stat().st_size for file in files)


def _resumed(
    database: Database, record: BatchRecord, preparation: Preparation, options: RunOptions
) -> BatchRecord:
    """Its own command lets a paused batch go on, and sets the limit of its money anew."""
    if record.total != preparation.total:
        raise InvalidBatch(
            f"{MODIFIED}: batch {record.id} has {record.total:,} lines, and the same input now has "
            f"{preparation.total:,}, because another version reads it; cancel the batch, and write "
            "to another output",
            reason=MODIFIED,
        )
    errors = Shape.of(record).errors
    if record.out != _STREAM and place_of(options.errors) != errors:
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


def _check_empty(other: BatchRecord | None, options: RunOptions) -> None:
    """A file that no batch of this input has begun must not be there, or be empty."""
    out = options.out_file
    if options.key is not None:
        is_taken = other is not None
    else:
        is_taken = out is not None and out.exists() and out.stat().st_size > 0
    if not is_taken:
        return
    if other is not None:
        raise InvalidBatch(
            f"{MODIFIED}: {options.key or out} belongs to batch {other.id}, whose input "
            "was another one or read in another way; write to another place",
            reason=MODIFIED,
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
