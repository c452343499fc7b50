"""Losses: what becomes of jobs whose worker or engine died under them.

A job that was lost alone may be what killed it: its attempt counts, and after the last one it is
dead. Of jobs that were lost together at most one is to blame, so that no attempt counts; each is
suspected, and runs with fewer beside it from now on, until it succeeds or is lost alone.

Prompts run in engines, and workers vanish for many reasons: the first time that one vanishes with
a job, nobody is suspected, and it takes four that vanish with nothing else to count as an attempt.

A worker that lives can have a claim of which it does not know: the connection broke at its commit.
Nobody is to blame for that, and it costs the worker nothing else that it holds.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    exists,
    func,
    select,
    true,
    update,
)

from penstock_shared.ledger import budgeting
from penstock_shared.ledger.accepting import chunks
from penstock_shared.ledger.budgeting import Reservation
from penstock_shared.ledger.claiming import WITHDRAWN, Fenced
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job, WorkerTime, is_in
from penstock_shared.words import AttemptOutcome, JobState

_BACKOFF_MS: Final = 1_000
_ALWAYS: Final = true()
_VANISHED: Final = "its worker was lost"
_UNKNOWN: Final = "its lease ran out, and its worker lives"
_TOGETHER: Final = "together with others"
_VANISHED_AN_ATTEMPT: Final = 4
_IS_RUNNING = is_in(JobState.RUNNING)


class Lost(NamedTuple):
    """How many jobs go back to their queue, and how many are dead."""

    requeued: int
    dead: int


class _Loss(NamedTuple):
    job_id: str
    fence: int
    attempts: int
    is_withdrawn: bool
    reservation: Reservation | None


class _Ended(NamedTuple):
    requeued: Sequence[_Loss]
    dead: Sequence[_Loss]
    withdrawn: Sequence[_Loss]


def requeue_lost(database: Database, *, now_ms: int, max_attempts: int) -> Lost:
    """End the claims of workers that let a lease run out: who is silent loses all its claims.

    A worker is silent when its books are closed, see ``worker_time.close_silent``. One that lives
    loses only the claims whose leases ran out.
    """
    ran_out = Job.lease_until_ms < now_ms
    lives = exists().where(WorkerTime.worker_id == Job.worker_id, WorkerTime.ended_ms.is_(None))
    with database.write() as connection:
        unknown = _read(connection, ran_out, lives, skip_locked=True)
        ended = _lose(
            connection,
            unknown,
            reason=_UNKNOWN,
            together=False,
            counts=False,
            now_ms=now_ms,
            max_attempts=max_attempts,
        )
        outcomes = [ended]
        silent = connection.scalars(
            select(Job.worker_id).where(_IS_RUNNING, ran_out, ~lives).distinct()
        ).all()
        for worker_id in silent:
            its_own = Job.worker_id == worker_id
            count = connection.scalar(select(func.count()).where(_IS_RUNNING, its_own)) or 0
            # A worker that froze in a transaction still has its rows: the next sweep.
            losses = _read(connection, its_own, skip_locked=True)
            outcomes.append(
                _lose(
                    connection,
                    losses,
                    reason=_VANISHED,
                    together=count > 1,
                    counts=count == 1 and _is_an_attempt(connection, losses),
                    suspicious=Job.fence > 1,
                    now_ms=now_ms,
                    max_attempts=max_attempts,
                )
            )
        return _counted(connection, outcomes)


def lose(
    database: Database,
    claims: Sequence[Fenced],
    *,
    reason: str,
    together: bool,
    now_ms: int,
    max_attempts: int,
) -> Lost:
    """End claims at once; ``together`` says that more than one of them was in what died."""
    fences = {claim.job_id: claim.fence for claim in claims}
    with database.write() as connection:
        running = _read(connection, Job.id.in_(fences))
        outcome = _lose(
            connection,
            [loss for loss in running if loss.fence == fences[loss.job_id]],
            reason=reason,
            together=together,
            counts=not together,
            now_ms=now_ms,
            max_attempts=max_attempts,
        )
        return _counted(connection, [outcome])


def _is_an_attempt(connection: Connection, losses: Sequence[_Loss]) -> bool:
    """Whether enough workers have vanished with this job alone to hold it against the job."""
    alone = select(func.count()).where(
        Attempt.job_id.in_([loss.job_id for loss in losses]),
        Attempt.error.startswith(_VANISHED),
        Attempt.error.not_like(f"%{_TOGETHER}%"),
    )
    before = connection.scalar(alone) or 0
    return before % _VANISHED_AN_ATTEMPT == _VANISHED_AN_ATTEMPT - 1


def _read(
    connection: Connection, *which: ColumnElement[bool], skip_locked: bool = False
) -> list[_Loss]:
    columns = (Job.id, Job.fence, Job.attempts, Job.cancel_requested, *budgeting.RESERVED)
    query = select(*columns).where(_IS_RUNNING, *which).order_by(Job.id)
    rows = connection.execute(query.with_for_update(skip_locked=skip_locked))
    return [_Loss(*row[:4], budgeting.reservation(row)) for row in rows]


def _lose(
    connection: Connection,
    losses: Sequence[_Loss],
    *,
    reason: str,
    together: bool,
    counts: bool,
    now_ms: int,
    max_attempts: int,
    suspicious: ColumnElement[bool] = _ALWAYS,
) -> _Ended:
    reason = f"{reason}, {_TOGETHER}" if together else reason
    _close_attempts(connection, losses, reason if counts else f"{reason}: not counted", now_ms)
    withdrawn = [loss for loss in losses if loss.is_withdrawn]
    losses = [loss for loss in losses if not loss.is_withdrawn]
    _change(
        connection,
        withdrawn,
        state=JobState.CANCELLED.value,
        finished_ms=now_ms,
        error=WITHDRAWN,
    )
    if not counts:
        more = case((suspicious, 1), else_=0) if together else 0
        _requeue(connection, losses, attempts=Job.attempts - 1, suspicion=Job.suspicion + more)
        return _Ended(losses, [], withdrawn)
    dead = [loss for loss in losses if loss.attempts >= max_attempts]
    back = [loss for loss in losses if loss.attempts < max_attempts]
    _change(
        connection,
        dead,
        state=JobState.DEAD.value,
        finished_ms=now_ms,
        error=f"lost in each of {max_attempts} attempts; the last time: {reason}",
    )
    _requeue(connection, back, not_before_ms=now_ms + _BACKOFF_MS * (Job.attempts - 1))
    return _Ended(back, dead, withdrawn)


def _counted(connection: Connection, outcomes: Sequence[_Ended]) -> Lost:
    """Count them; what those that ended had reserved is free. The transaction's last step."""
    ended = [loss for outcome in outcomes for loss in (*outcome.dead, *outcome.withdrawn)]
    budgeting.release(connection, ((loss.reservation, 0) for loss in ended))
    requeued = sum(len(outcome.requeued) for outcome in outcomes)
    return Lost(requeued, sum(len(outcome.dead) for outcome in outcomes))


def _requeue(connection: Connection, losses: Sequence[_Loss], **values: Any) -> None:
    """Into the outbox, from where a sweep publishes them."""
    _change(
        connection, losses, state=JobState.QUEUED.value, worker_id=None, published_ms=None, **values
    )


def _change(connection: Connection, losses: Sequence[_Loss], **values: Any) -> None:
    for some in chunks(loss.job_id for loss in losses):
        connection.execute(
            update(Job).where(Job.id.in_(some)).values(lease_until_ms=None, **values)
        )


def _close_attempts(
    connection: Connection, losses: Sequence[_Loss], reason: str, now_ms: int
) -> None:
    if not losses:
        return
    connection.execute(
        update(Attempt)
        .where(Attempt.job_id == bindparam("job"), Attempt.fence == bindparam("held"))
        .values(outcome=AttemptOutcome.LOST.value, ended_ms=now_ms, error=reason),
        [{"job": loss.job_id, "held": loss.fence} for loss in losses],
    )
