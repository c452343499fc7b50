"""Dead jobs: every attempt was lost. People look at them, and retry or drop them."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select, update

from penstock_shared.ledger.accepting import chunks
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job, is_in
from penstock_shared.words import JobState

_IS_DEAD = is_in(JobState.DEAD)


class DeadJob(NamedTuple):
    """What a list shows of a dead job; the prompt stays in the ledger."""

    job_id: str
    tenant: str
    tier: str
    task_type: str
    attempts: int
    error: str | None
    created_ms: int
    finished_ms: int


class PastAttempt(NamedTuple):
    """One claim of a job and how it ended; None: it has not ended."""

    fence: int
    worker_id: str
    outcome: str
    error: str | None
    started_ms: int
    ended_ms: int | None
    waste_pusd: int


def dead_jobs(
    database: Database, *, tier: str | None = None, tenant: str | None = None, limit: int = 100
) -> list[DeadJob]:
    """The dead jobs, those that died last first."""
    query = select(*(getattr(Job, "id" if f == "job_id" else f) for f in DeadJob._fields))
    query = query.where(_IS_DEAD).order_by(Job.finished_ms.desc(), Job.id).limit(limit)
    if tier is not None:
        query = query.where(Job.tier == tier)
    if tenant is not None:
        query = query.where(Job.tenant == tenant)
    with database.read() as connection:
        return [DeadJob(*row) for row in connection.execute(query)]


def attempts_of(database: Database, job_id: str) -> list[PastAttempt]:
    """All claims of a job, the first one first."""
    columns = (getattr(Attempt, field) for field in PastAttempt._fields)
    query = select(*columns).where(Attempt.job_id == job_id).order_by(Attempt.fence)
    with database.read() as connection:
        return [PastAttempt(*row) for row in connection.execute(query)]


def retry(database: Database, job_ids: Sequence[str]) -> list[str]:
    """Put dead jobs back into the outbox with all their attempts; returns which were dead.

    A worker's next sweep publishes them. Fencing tokens go on, so that a worker that was taken for
    dead and wakes up settles nothing.
    """
    return _change(
        database,
        job_ids,
        state=JobState.QUEUED.value,
        attempts=0,
        worker_id=None,
        published_ms=None,
        not_before_ms=None,
        finished_ms=None,
        error=None,
    )


def drop(database: Database, job_ids: Sequence[str], now_ms: int) -> list[str]:
    """Give dead jobs up: they are cancelled, and listed no more; returns which were dead."""
    return _change(
        database,
        job_ids,
        state=JobState.CANCELLED.value,
        finished_ms=now_ms,
        error="dropped by an operator after all its attempts were lost",
    )


def _change(database: Database, job_ids: Sequence[str], **values: object) -> list[str]:
    changed: list[str] = []
    with database.write() as connection:
        for some in chunks(job_ids):
            statement = update(Job).where(Job.id.in_(some), _IS_DEAD).values(**values)
            changed += connection.scalars(statement.returning(Job.id))
    return changed
