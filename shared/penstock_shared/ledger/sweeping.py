"""Sweeping: what is unpublished, overdue or lost by the broker is found."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from penstock_shared.broker import Wakeup
from penstock_shared.ledger import accepting, budgeting
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Duty, Job, is_in
from penstock_shared.words import JobState

_SWEEP: Final = "sweep"
_PAGE: Final = 1_000


def take_duty(database: Database, holder: str, *, now_ms: int, until_ms: int) -> bool:
    """True when ``holder`` is the one that sweeps until ``until_ms``."""
    statement = (sqlite_insert if database.is_sqlite else postgresql_insert)(Duty).values(
        name=_SWEEP, holder=holder, until_ms=until_ms
    )
    free = (Duty.until_ms < now_ms) | (Duty.holder == holder)
    with database.write() as connection:
        taken = connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": holder, "until_ms": until_ms},
                where=free,
            ).returning(Duty.holder)
        ).scalar()
    return taken == holder


def outbox(database: Database, *, now_ms: int, older_than_ms: int, limit: int) -> list[Wakeup]:
    """Queued jobs that wait to be published and are due, oldest first.

    Lines of batches that wait in their backlog are not published: workers take them from there.
    ``older_than_ms`` leaves a client the time to publish its own jobs.
    """
    query = (
        select(Job.id, Job.tier, Job.fence)
        .where(Job.published_ms.is_(None), is_in(JobState.QUEUED), Job.backlog_rank.is_(None))
        .where(Job.created_ms < now_ms - older_than_ms)
        .where(Job.not_before_ms.is_(None) | (Job.not_before_ms <= now_ms))
        .order_by(Job.created_ms)
        .limit(limit)
    )
    with database.read() as connection:
        return [Wakeup(row.id, row.tier, again=row.fence > 0) for row in connection.execute(query)]


def reopen_lost(database: Database, tier: str, *, published_before_ms: int, limit: int) -> int:
    """Put queued jobs of a tier that were published before a moment back into the outbox.

    Returns how many. The caller knows that the broker cannot hold them any more.
    """
    lost = (
        select(Job.id)
        .where(is_in(JobState.QUEUED), Job.tier == tier)
        .where(Job.published_ms < published_before_ms)
        .order_by(Job.published_ms)
        .limit(limit)
    )
    with database.write() as connection:
        return connection.execute(
            update(Job).where(Job.id.in_(lost)).values(published_ms=None)
        ).rowcount


def published_at(database: Database, job_ids: Sequence[str]) -> list[int]:
    """When those of the jobs that are in the ledger were published."""
    query = select(Job.published_ms).where(Job.id.in_(job_ids), Job.published_ms.is_not(None))
    with database.read() as connection:
        return [moment for moment in connection.scalars(query) if moment is not None]


def expire_overdue(database: Database, now_ms: int, *, limit: int = _PAGE) -> int:
    """End up to so many queued jobs whose deadline passed; returns how many."""
    overdue = (
        select(Job.id)
        .where(is_in(JobState.QUEUED), Job.deadline_ms <= now_ms)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    expired: list[Any] = []
    with database.write() as connection:
        for some in accepting.chunks(connection.scalars(overdue).all()):
            expired += connection.execute(
                update(Job)
                .where(Job.id.in_(some))
                .values(
                    state=JobState.EXPIRED.value,
                    finished_ms=now_ms,
                    error="the deadline passed before a worker was free",
                )
                .returning(*budgeting.RESERVED)
            )
        budgeting.release_all(connection, expired)
    return len(expired)
