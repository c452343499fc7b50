"""Leases are renewed, given back, or run out; no job is lost in any of these."""

from penstock_shared.ledger import claiming, sweeping
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job
from penstock_shared.words import AttemptOutcome, JobState
from tests.examples import LEASE, NOW, WORKER, accept_some, claim_some, rows, state_of

AFTER = NOW + LEASE + 1


def renew(
    database: Database, claims: list[claiming.Claim], *, worker_id: str = WORKER, now_ms: int = NOW
) -> claiming.Verdicts:
    return claiming.renew(database, claims, worker_id=worker_id, lease_ms=LEASE, now_ms=now_ms)


def sweep(database: Database, now_ms: int, *, max_attempts: int = 3) -> tuple[int, int]:
    return sweeping.requeue_lost(database, now_ms=now_ms, max_attempts=max_attempts)


def attempt_outcomes(database: Database) -> list[str]:
    return [a.outcome for a in sorted(rows(database, Attempt), key=lambda a: int(a.fence))]


def test_a_renewed_lease_outlives_the_sweep(database: Database) -> None:
    held = claim_some(database, accept_some(database, 600))
    assert renew(database, held, now_ms=NOW + LEASE - 1) == (frozenset(), frozenset())
    assert sweep(database, AFTER) == (0, 0)
    assert {row.lease_until_ms for row in rows(database, Job)} == {NOW + 2 * LEASE - 1}


def test_renewing_tells_which_jobs_are_to_be_cancelled(database: Database) -> None:
    ids = accept_some(database, 2)
    held = claim_some(database, ids)
    claiming.cancel(database, ids[:1], NOW)
    assert renew(database, held) == (frozenset(), frozenset(ids[:1]))


def test_renewing_tells_which_jobs_were_lost(database: Database) -> None:
    ids = accept_some(database, 3)
    held = claim_some(database, ids)
    claiming.abandon(database, held[:2])
    sweep(database, NOW)
    claim_some(database, ids[:1], worker_id="another")
    assert renew(database, held) == (frozenset(ids[:2]), frozenset())


def test_a_job_that_the_same_worker_claimed_again_is_lost_to_its_old_claim(
    database: Database,
) -> None:
    ids = accept_some(database)
    old = claim_some(database, ids)
    claiming.abandon(database, old)
    sweep(database, NOW)
    new = claim_some(database, ids)
    assert renew(database, old).lost == frozenset(ids)
    assert renew(database, new).lost == frozenset()


def test_renewing_nothing_asks_nothing(database: Database) -> None:
    assert renew(database, []) == (frozenset(), frozenset())


def test_a_released_job_is_claimable_at_once_and_its_attempt_does_not_count(
    database: Database,
) -> None:
    ids = accept_some(database)
    claiming.release(database, claim_some(database, ids), NOW + 5)
    [row] = rows(database, Job)
    assert (row.state, row.attempts, row.worker_id) == (JobState.QUEUED, 0, None)
    assert row.lease_until_ms is None
    assert attempt_outcomes(database) == [AttemptOutcome.RELEASED]
    assert len(claim_some(database, ids, worker_id="another")) == 1


def test_releasing_a_claim_that_is_no_longer_held_changes_nothing(database: Database) -> None:
    ids = accept_some(database)
    old = claim_some(database, ids)
    claiming.release(database, old, NOW)
    claim_some(database, ids, worker_id="another")
    claiming.release(database, old, NOW)
    [row] = rows(database, Job)
    assert (row.state, row.worker_id, row.attempts) == (JobState.RUNNING, "another", 1)


def test_a_lease_that_ran_out_puts_the_job_back_into_the_outbox(database: Database) -> None:
    ids = accept_some(database)
    claim_some(database, ids)
    assert sweep(database, NOW + LEASE) == (0, 0)
    assert sweep(database, AFTER) == (1, 0)
    [row] = rows(database, Job)
    assert (row.state, row.published_ms, row.worker_id) == (JobState.QUEUED, None, None)
    assert row.attempts == 1
    [attempt] = rows(database, Attempt)
    assert (attempt.outcome, attempt.ended_ms) == (AttemptOutcome.LOST, AFTER)


def test_an_abandoned_job_need_not_wait_for_its_lease(database: Database) -> None:
    held = claim_some(database, accept_some(database, 2))
    claiming.abandon(database, held[:1])
    assert sweep(database, NOW) == (1, 0)
    assert state_of(database, held[0].job_id) is JobState.QUEUED
    assert state_of(database, held[1].job_id) is JobState.RUNNING


def test_a_job_waits_longer_after_each_loss_and_is_dead_after_the_last(database: Database) -> None:
    ids = accept_some(database)
    now, waits = NOW, []
    for _ in range(3):
        [held] = claim_some(database, ids, now_ms=now)
        claiming.abandon(database, [held])
        requeued, dead = sweep(database, now)
        [row] = rows(database, Job)
        waits.append(None if row.not_before_ms is None else row.not_before_ms - now)
        now = row.not_before_ms or now
    assert (requeued, dead) == (0, 1)
    assert waits[0] == 0
    assert waits[1] is not None
    assert waits[1] > 0
    assert (row.state, row.attempts, row.finished_ms) == (JobState.DEAD, 3, now)
    assert "in each of 3 attempts" in row.error
    assert attempt_outcomes(database) == [AttemptOutcome.LOST] * 3
    assert claim_some(database, ids, now_ms=now + 10**9) == []


def test_one_sweep_ends_some_and_requeues_the_others(database: Database) -> None:
    ids = accept_some(database, 5)
    claiming.abandon(database, claim_some(database, ids[:2]))
    sweep(database, NOW)
    claiming.abandon(database, claim_some(database, ids))
    assert sweep(database, NOW, max_attempts=2) == (3, 2)
