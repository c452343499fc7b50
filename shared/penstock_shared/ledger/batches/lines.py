"""The lines of a batch: how many stand how, which have ended, their results."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select, update

from penstock_shared.errors import BatchStopped
from penstock_shared.ledger import budgeting, reading
from penstock_shared.ledger.accepting import chunks
from penstock_shared.ledger.batches import documents
from penstock_shared.ledger.batches.entering import Refusal
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Batch, BatchDocument, BatchRefusal, Job
from penstock_shared.result import Result
from penstock_shared.words import BatchState, JobState

_PAGE: Final = 1_000
_FAILED: Final = (JobState.FAILED, JobState.DEAD, JobState.EXPIRED)


class Counts(NamedTuple):
    """How many lines stand how; ``invalid`` ones were refused, ``waiting`` ones need others' ends.

    The others are jobs.
    """

    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    dead: int = 0
    invalid: int = 0
    waiting: int = 0

    @property
    def total(self) -> int:
        """All that are in the ledger."""
        return sum(self)

    @property
    def without_answer(self) -> int:
        """Those that ended without one."""
        return self.failed + self.cancelled + self.expired + self.dead + self.invalid

    @property
    def ended(self) -> int:
        """Those that no worker will change any more."""
        return self.succeeded + self.without_answer


class Ended(NamedTuple):
    """A line that has ended, at a moment in milliseconds since 1970."""

    line: int
    finished_ms: int


class LineResult(NamedTuple):
    """A line with its result."""

    line: int
    custom_id: str
    result: Result


def count(database: Database, batch_id: str) -> Counts:
    """How many lines stand how. It reads an index of the whole batch: 0.2 s for a million."""
    states = select(Job.state, func.count()).where(Job.batch_id == batch_id).group_by(Job.state)
    refused = select(func.count()).where(BatchRefusal.batch_id == batch_id)
    waiting = select(func.count()).where(BatchDocument.batch_id == batch_id, documents.is_waiting())
    with database.snapshot() as connection:
        found = {row.state: row[1] for row in connection.execute(states)}
        return Counts(
            **found,
            invalid=connection.scalar(refused) or 0,
            waiting=connection.scalar(waiting) or 0,
        )


def ended(database: Database, batch_id: str, *, since: Ended, limit: int = _PAGE) -> list[Ended]:
    """Lines that ended after ``since`` was the last one known, in the order of their ends.

    Workers write moments that may lie some seconds before others that are known already.
    """
    later = (Job.finished_ms > since.finished_ms) | (
        (Job.finished_ms == since.finished_ms) & (Job.batch_line > since.line)
    )
    query = (
        select(Job.batch_line, Job.finished_ms)
        .where(Job.batch_id == batch_id, Job.finished_ms >= since.finished_ms, later)
        .order_by(Job.finished_ms, Job.batch_line)
        .limit(limit)
    )
    with database.read() as connection:
        return [Ended(row.batch_line, row.finished_ms) for row in connection.execute(query)]


def results(database: Database, batch_id: str, lines: Sequence[int]) -> list[LineResult]:
    """Lines with what is known of them, in the order of their numbers; refused ones left out."""
    query = reading.QUERY.add_columns(Job.batch_line, Job.custom_id).where(Job.batch_id == batch_id)
    found: list[LineResult] = []
    with database.read() as connection:
        for some in chunks(lines):
            rows = connection.execute(query.where(Job.batch_line.in_(some)))
            found += [LineResult(r.batch_line, r.custom_id, reading.result_of(r)) for r in rows]
    return sorted(found, key=lambda found_line: found_line.line)


def ended_numbers(
    database: Database, batch_id: str, *, after: int = 0, limit: int = _PAGE
) -> list[Ended]:
    """Lines that have ended, in the order of their numbers, from after one of them."""
    query = (
        select(Job.batch_line, Job.finished_ms)
        .where(Job.batch_id == batch_id, Job.batch_line > after, Job.finished_ms.is_not(None))
        .order_by(Job.batch_line)
        .limit(limit)
    )
    with database.read() as connection:
        return [Ended(row.batch_line, row.finished_ms) for row in connection.execute(query)]


def states(database: Database, batch_id: str, lines: Sequence[int]) -> dict[int, JobState]:
    """How those of the lines stand that are jobs, or will be when their parts have ended."""
    jobs = select(Job.batch_line, Job.state).where(Job.batch_id == batch_id)
    waiting = select(BatchDocument.line).where(
        BatchDocument.batch_id == batch_id, documents.is_waiting()
    )
    found: dict[int, JobState] = {}
    with database.read() as connection:
        for some in chunks(lines):
            wait = connection.scalars(waiting.where(BatchDocument.line.in_(some)))
            found.update(dict.fromkeys(wait, JobState.QUEUED))
            rows = connection.execute(jobs.where(Job.batch_line.in_(some)))
            found.update((row.batch_line, JobState(row.state)) for row in rows)
    return found


def last_number(database: Database, batch_id: str) -> int:
    """The highest number of a line that is in the ledger, as whatever it is; 0: none is."""
    highest = (
        select(func.max(Job.batch_line)).where(Job.batch_id == batch_id),
        select(func.max(BatchRefusal.line)).where(BatchRefusal.batch_id == batch_id),
        select(func.max(BatchDocument.line)).where(BatchDocument.batch_id == batch_id),
    )
    with database.snapshot() as connection:
        return max(connection.scalar(query) or 0 for query in highest)


def refusals(
    database: Database, batch_id: str, *, after: int = 0, limit: int = _PAGE
) -> list[Refusal]:
    """Lines that were wrong and skipped, in the order of their numbers, from after one of them."""
    columns = (getattr(BatchRefusal, name) for name in Refusal._fields)
    query = (
        select(*columns)
        .where(BatchRefusal.batch_id == batch_id, BatchRefusal.line > after)
        .order_by(BatchRefusal.line)
        .limit(limit)
    )
    with database.read() as connection:
        return [Refusal(*row) for row in connection.execute(query)]


def retry_failed(database: Database, batch_id: str) -> int:
    """Put failed, dead and expired lines back into the backlog; a completed batch runs again.

    So do documents whose parts had failed, once these are back. Returns how many lines, each
    counted once. They have all their attempts again, and no deadline if that was the reason.
    A paused batch stays paused. Under budgets lines reserve what they had, in the period in which
    they were loaded. Raises BatchStopped when the batch is cancelled.
    """
    retried = last = 0
    while some := _failed(database, batch_id, after=last):
        retried += _retry(database, batch_id, [job_id for job_id, _ in some])
        last = some[-1][1]
    with database.write() as connection:
        _may_go_on(connection, batch_id)
        waiting = documents.wait_again(connection, batch_id)
        if waiting:
            _run_again(connection, batch_id)
    return retried + waiting


def _failed(database: Database, batch_id: str, *, after: int) -> Sequence[tuple[str, int]]:
    """Ids and numbers of the next lines to retry, in the order of their numbers."""
    query = (
        select(Job.id, Job.batch_line)
        .where(Job.batch_id == batch_id, Job.batch_line > after, Job.finished_ms.is_not(None))
        .where(Job.state.in_([state.value for state in _FAILED]))
        .order_by(Job.batch_line)
        .limit(_PAGE)
    )
    with database.read() as connection:
        return [(row.id, row.batch_line) for row in connection.execute(query)]


def _retry(database: Database, batch_id: str, job_ids: Sequence[str]) -> int:
    values: dict[str, Any] = {
        "state": JobState.QUEUED.value,
        "attempts": 0,
        "suspicion": 0,
        "worker_id": None,
        "cancel_requested": False,
        "published_ms": None,
        "not_before_ms": None,
        "deadline_ms": None,
        "finished_ms": None,
        "error": None,
        "backlog_rank": Job.batch_line,
    }
    with database.write() as connection:
        _may_go_on(connection, batch_id)
        rows = connection.execute(
            update(Job)
            .where(Job.id.in_(job_ids), Job.state.in_([state.value for state in _FAILED]))
            .values(**values)
            .returning(Job.id, *budgeting.RESERVED)
        ).all()
        _run_again(connection, batch_id)
        budgeting.reserve_again(connection, rows)
    return len(rows)


def _may_go_on(connection: Connection, batch_id: str) -> None:
    """Refuse a batch that was cancelled, and let nobody cancel it before the commit."""
    state = select(Batch.state).where(Batch.id == batch_id).with_for_update(key_share=True)
    if connection.scalar(state) == BatchState.CANCELLED.value:
        raise BatchStopped(
            f"batch {batch_id} is cancelled and does not go on; run its input with another OUT"
        )


def _run_again(connection: Connection, batch_id: str) -> None:
    connection.execute(
        update(Batch)
        .where(Batch.id == batch_id, Batch.state == BatchState.COMPLETED.value)
        .values(state=BatchState.RUNNING.value, finished_ms=None)
    )
