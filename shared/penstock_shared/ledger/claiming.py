"""Claims: a worker's leased, fenced hold on a job."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, case, insert, or_, select, true, update

from penstock_shared.ledger import budgeting
from penstock_shared.ledger.accepting import chunks
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job, is_in, is_withdrawn
from penstock_shared.request import Request
from penstock_shared.words import AttemptOutcome, JobState


class Claim(NamedTuple):
    """A job that this worker holds. Only the holder of ``fence`` may settle it."""

    job_id: str
    fence: int
    request: Request
    created_ms: int
    deadline_ms: int | None
    batch_id: str | None = None  # of which batch it is a line


class Standing(NamedTuple):
    """Why a job could not be claimed: it is somebody else's, it ended, is not due or suspected."""

    state: JobState
    suspicion: int


class Hold(NamedTuple):
    """Who claims, since when and until when; milliseconds since 1970."""

    worker_id: str
    until_ms: int
    now_ms: int


def claim(
    database: Database,
    job_ids: Sequence[str],
    *,
    worker_id: str,
    lease_ms: int,
    now_ms: int,
    suspects: bool = False,
) -> list[Claim]:
    """Claim those of the jobs that are queued and due, in one statement.

    Suspected jobs may not run beside others, and are claimed only with ``suspects``.
    """
    unsuspected = true() if suspects else Job.suspicion == 0
    due = or_(Job.not_before_ms.is_(None), Job.not_before_ms <= now_ms)
    hold = Hold(worker_id, now_ms + lease_ms, now_ms)
    with database.write() as connection:
        claims = take(connection, job_ids, hold, unsuspected, due)
        if len(claims) < len(job_ids):
            _expire(connection, job_ids, now_ms)
    order = {job_id: place for place, job_id in enumerate(job_ids)}
    return sorted(claims, key=lambda claim: order[claim.job_id])


def take(
    connection: Connection, job_ids: Sequence[str], hold: Hold, *conditions: ColumnElement[bool]
) -> list[Claim]:
    """Claim those of the jobs that are queued, in time, and meet the conditions, in any order."""
    alive = or_(Job.deadline_ms.is_(None), Job.deadline_ms > hold.now_ms)
    rows = connection.execute(
        update(Job)
        .where(Job.id.in_(job_ids), is_in(JobState.QUEUED), alive, *conditions)
        .values(
            state=JobState.RUNNING.value,
            fence=Job.fence + 1,
            attempts=Job.attempts + 1,
            worker_id=hold.worker_id,
            lease_until_ms=hold.until_ms,
            backlog_rank=None,
        )
        .returning(Job.id, Job.fence, Job.request, Job.created_ms, Job.deadline_ms, Job.batch_id)
    ).all()
    if rows:
        attempts = [_attempt(row, hold.worker_id, hold.now_ms) for row in rows]
        connection.execute(insert(Attempt), attempts)
    return [_claim(row) for row in rows]


def renew(
    database: Database, claims: Iterable[Claim], *, worker_id: str, lease_ms: int, now_ms: int
) -> frozenset[str]:
    """Prolong the leases of held jobs; returns those that are lost.

    A job is lost when another claim of it was made, or when it ended without us.
    """
    fences = {claim.job_id: claim.fence for claim in claims}
    held: set[str] = set()
    with database.write() as connection:
        for some in chunks(fences):
            rows = connection.execute(
                update(Job)
                .where(Job.id.in_(some), *_runs_at(worker_id))
                .values(lease_until_ms=now_ms + lease_ms)
                .returning(Job.id, Job.fence)
            )
            held.update(row.id for row in rows if row.fence == fences[row.id])
    return frozenset(fences.keys() - held)


def to_cancel(database: Database, worker_id: str) -> list[str]:
    """Those of a worker's running jobs that their callers withdrew."""
    query = select(Job.id).where(*_runs_at(worker_id), is_withdrawn())
    with database.read() as connection:
        return list(connection.scalars(query))


def release(connection: Connection, claims: Sequence[Claim], now_ms: int) -> None:
    """Make unfinished jobs claimable again; the attempts do not count.

    Lines of batches go back to their backlog, but for suspects, which have messages.
    """
    for held in claims:
        given_back = connection.execute(
            update(Job)
            .where(Job.id == held.job_id, Job.fence == held.fence)
            .where(is_in(JobState.RUNNING))
            .values(
                state=JobState.QUEUED.value,
                attempts=Job.attempts - 1,
                worker_id=None,
                lease_until_ms=None,
                backlog_rank=case((Job.suspicion == 0, Job.batch_line)),
            )
        )
        if given_back.rowcount:
            connection.execute(
                update(Attempt)
                .where(Attempt.job_id == held.job_id, Attempt.fence == held.fence)
                .values(outcome=AttemptOutcome.RELEASED.value, ended_ms=now_ms)
            )


def standings(database: Database, job_ids: Sequence[str]) -> dict[str, Standing]:
    """How those of the jobs that exist stand."""
    query = select(Job.id, Job.state, Job.suspicion).where(Job.id.in_(job_ids))
    with database.read() as connection:
        rows = connection.execute(query)
        return {row.id: Standing(JobState(row.state), row.suspicion) for row in rows}


def states(
    database: Database, job_ids: Collection[str], *, only_terminal: bool = False
) -> dict[str, JobState]:
    """The states of those of the jobs that exist, or of those that have ended."""
    found: dict[str, JobState] = {}
    if not job_ids:
        return found
    query = select(Job.id, Job.state)
    if only_terminal:
        query = query.where(Job.finished_ms.is_not(None))
    with database.read() as connection:
        for some in chunks(job_ids):
            rows = connection.execute(query.where(Job.id.in_(some)))
            found.update((row.id, JobState(row.state)) for row in rows)
    return found


def cancel(database: Database, job_ids: Sequence[str], now_ms: int) -> dict[str, JobState]:
    """Withdraw jobs: a queued one ends at once, a running one as soon as its worker hears of it.

    Returns the states afterwards; unknown ids are left out.
    """
    cancelled: list[Any] = []
    with database.write() as connection:
        for some in chunks(job_ids):
            cancelled += connection.execute(
                update(Job)
                .where(Job.id.in_(some), is_in(JobState.QUEUED))
                .values(
                    state=JobState.CANCELLED.value,
                    finished_ms=now_ms,
                    error="cancelled by the caller before it started",
                )
                .returning(*budgeting.RESERVED)
            )
            connection.execute(
                update(Job)
                .where(Job.id.in_(some), is_in(JobState.RUNNING))
                .values(cancel_requested=True)
            )
        budgeting.release_all(connection, cancelled)
    return states(database, job_ids)


def _runs_at(worker_id: str) -> tuple[ColumnElement[bool], ...]:
    return (Job.worker_id == worker_id, is_in(JobState.RUNNING))


def _expire(connection: Connection, job_ids: Sequence[str], now_ms: int) -> None:
    expired = connection.execute(
        update(Job)
        .where(Job.id.in_(job_ids), is_in(JobState.QUEUED), Job.deadline_ms <= now_ms)
        .values(
            state=JobState.EXPIRED.value,
            finished_ms=now_ms,
            error="the deadline passed before a worker was free",
        )
        .returning(*budgeting.RESERVED)
    )
    budgeting.release_all(connection, expired)


def _attempt(row: Any, worker_id: str, now_ms: int) -> dict[str, Any]:
    return {
        "job_id": row.id,
        "fence": row.fence,
        "worker_id": worker_id,
        "outcome": AttemptOutcome.CLAIMED.value,
        "started_ms": now_ms,
        "waste_pusd": 0,
    }


def _claim(row: Any) -> Claim:
    request = Request.model_validate_json(row.request)
    return Claim(row.id, row.fence, request, row.created_ms, row.deadline_ms, row.batch_id)
