"""Dead jobs: every attempt was lost. People look at them, and retry or drop them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from penstock_shared.ledger import budgeting
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
    dead and wakes up settles nothing. Under a budget they reserve again what they had, in the
    period in which they were submitted, whatever is left of it.
    """
    back = {
        "state": JobState.QUEUED.value,
        "attempts": 0,
        "worker_id": None,
        "cancel_requested": False,
        "published_ms": None,
        "not_before_ms": None,
        "finished_ms": None,
        "error": None,
    }
    with database.write() as connection:
        changed = _change(connection, job_ids, back)
        budgeting.reserve_again(connection, changed)
    return [row.id for row in changed]


def drop(database: Database, job_ids: Sequence[str], now_ms: int) -> list[str]:
    """Give dead jobs up: they are cancelled, and listed no more; returns which were dead.

    What they had reserved was free when they died.
    """
    gone = {
        "state": JobState.CANCELLED.value,
        "finished_ms": now_ms,
        "error": "dropped by an operator after all its attempts were lost",
    }
    with database.write() as connection:
        return [row.id for row in _change(connection, job_ids, gone)]


def _change(
    connection: Connection, job_ids: Sequence[str], values: Mapping[str, object]
) -> list[Any]:
    changed: list[Any] = []
    for some in chunks(job_ids):
        statement = update(Job).where(Job.id.in_(some), _IS_DEAD).values(**values)
        changed += connection.execute(statement.returning(Job.id, *budgeting.RESERVED))
    return changed
