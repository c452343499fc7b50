"""A batch at a glance: how each tier stands, why lines have no answer, how fast it goes."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, case, func, select

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import BatchRefusal, Charge, Job, JobResult, is_in
from penstock_shared.words import JobState, Source

_SHOWN: Final = (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)
_WITHOUT_ANSWER: Final = (JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED, JobState.DEAD)


class TierStanding(NamedTuple):
    """The lines of a tier, and what was done for those with an answer; money in picodollars."""

    tier: str
    queued: int
    running: int
    succeeded: int
    failed: int  # all that ended without an answer
    cached: int
    prompt_tokens: int
    completion_tokens: int
    charged_pusd: int


class Reason(NamedTuple):
    """Why so many lines have no answer, and one of them."""

    state: str  # of a job, or invalid
    reason: str
    lines: int
    first_line: int


def by_tier(database: Database, batch_id: str) -> list[TierStanding]:
    """How the tiers of a batch stand. It reads all its lines: some seconds for a million."""
    failed = [state.value for state in _WITHOUT_ANSWER]
    is_cached = JobResult.source != Source.ENGINE.value
    numbers = (
        *(_how_many(Job.state == state.value) for state in _SHOWN),
        _how_many(Job.state.in_(failed)),
        _how_many(is_cached),
        *(
            func.coalesce(func.sum(column), 0)
            for column in (
                JobResult.prompt_tokens,
                JobResult.completion_tokens,
                Charge.amount_pusd,
            )
        ),
    )
    query = (
        select(Job.tier, *numbers)
        .outerjoin(JobResult, JobResult.job_id == Job.id)
        .outerjoin(Charge, Charge.job_id == Job.id)
        .where(Job.batch_id == batch_id)
        .group_by(Job.tier)
        .order_by(Job.tier)
    )
    with database.read() as connection:
        return [TierStanding(row[0], *map(int, row[1:])) for row in connection.execute(query)]


def reasons(database: Database, batch_id: str, *, limit: int = 20) -> list[Reason]:
    """Why lines have no answer, the most frequent reasons first."""
    jobs = (
        select(Job.state, Job.error, func.count().label("lines"), func.min(Job.batch_line))
        .where(Job.batch_id == batch_id)
        .where(Job.state.in_([state.value for state in _WITHOUT_ANSWER]))
        .group_by(Job.state, Job.error)
        .order_by(func.count().desc())
        .limit(limit)
    )
    refused = (
        select(BatchRefusal.code, func.count(), func.min(BatchRefusal.line))
        .where(BatchRefusal.batch_id == batch_id)
        .group_by(BatchRefusal.code)
        .order_by(func.count().desc())
        .limit(limit)
    )
    with database.read() as connection:
        found = [
            Reason(row[0], row[1] or "", int(row[2]), int(row[3] or 0))
            for row in connection.execute(jobs)
        ]
        found += [Reason("invalid", *row) for row in connection.execute(refused)]
    return sorted(found, key=lambda reason: (-reason.lines, reason.first_line))[:limit]


def waiting_tiers(database: Database, batch_id: str, tiers: Iterable[str]) -> list[str]:
    """Those of the tiers for which a line of the batch waits."""
    with database.read() as connection:
        return [
            tier
            for tier in tiers
            if connection.execute(
                select(Job.id)
                .where(Job.batch_id == batch_id, Job.tier == tier, is_in(JobState.QUEUED))
                .limit(1)
            ).first()
        ]


def ended_since(database: Database, batch_id: str, since_ms: int) -> int:
    """How many lines have ended at a moment or later."""
    query = select(func.count()).where(Job.batch_id == batch_id, Job.finished_ms >= since_ms)
    with database.read() as connection:
        return connection.scalar(query) or 0


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
