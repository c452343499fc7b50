"""Leases are renewed, given back, or run out; no job is lost in any of these."""

import pytest

from penstock_shared.ledger import claiming, losing, settling, worker_time
from penstock_shared.ledger.claiming import Claim, ClaimId
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.losing import Lost
from penstock_shared.ledger.schema import Attempt, Job
from penstock_shared.words import AttemptOutcome, JobState
from tests.examples import (
    ACCOUNT,
    LEASE,
    NOW,
    WORKER,
    accept_some,
    claim_some,
    lose_engines,
    lose_workers,
    open_books,
    rows,
    state_of,
)

AFTER = NOW + LEASE + 1
VANISHED = "its worker was lost"


def renew(
    database: Database, claims: list[Claim], *, worker_id: str = WORKER, now_ms: int = NOW
) -> list[Claim]:
    return claiming.renew(database, claims, worker_id=worker_id, lease_ms=LEASE, now_ms=now_ms)


def sweep(database: Database, now_ms: int, *, max_attempts: int = 3) -> Lost:
    return losing.requeue_lost(database, now_ms=now_ms, max_attempts=max_attempts)


def lose(database: Database, claims: list[Claim], *, together: bool = False) -> Lost:
    return losing.lose(
        database,
        claims,
        reason="the engine died",
        together=together,
        now_ms=NOW,
        max_attempts=3,
    )


def vanish(database: Database, ids: list[str], *, max_attempts: int = 9) -> Lost:
    """Let workers vanish, each with one job and nothing else."""
    for number, job_id in enumerate(ids):
        claim_some(database, [job_id], worker_id=f"worker-{number}")
    return lose_workers(database, max_attempts=max_attempts)


def attempts(database: Database) -> list[Attempt]:
    return sorted(rows(database, Attempt), key=lambda a: int(a.fence))


def counted(database: Database) -> dict[str, tuple[int, int]]:
    """Attempts and suspicion of each job."""
    return {row.id: (row.attempts, row.suspicion) for row in rows(database, Job)}


def test_a_renewed_lease_outlives_the_sweep(database: Database) -> None:
    held = claim_some(database, accept_some(database, 600))
    assert renew(database, held, now_ms=NOW + LEASE - 1) == []
    assert sweep(database, AFTER) == (0, 0)
    assert {row.lease_until_ms for row in rows(database, Job)} == {NOW + 2 * LEASE - 1}


def test_a_worker_hears_which_of_its_running_jobs_are_to_be_cancelled(database: Database) -> None:
    ids = accept_some(database, 4)
    claim_some(database, ids[:2])
    claim_some(database, ids[2:3], worker_id="another")
    claiming.cancel(database, ids[1:], NOW)
    assert claiming.to_cancel(database, WORKER) == [ClaimId(ids[1], 1)]


def test_renewing_tells_which_jobs_were_lost(database: Database) -> None:
    ids = accept_some(database, 3)
    held = claim_some(database, ids)
    lose(database, held[:2])
    claim_some(database, ids[:1], worker_id="another")
    assert renew(database, held) == held[:2]


def test_a_job_that_the_same_worker_claimed_again_is_lost_to_its_old_claim(
    database: Database,
) -> None:
    ids = accept_some(database)
    old = claim_some(database, ids)
    lose_workers(database)
    new = claim_some(database, ids)
    assert renew(database, old) == old
    assert renew(database, new) == []


def test_renewing_nothing_asks_nothing(database: Database) -> None:
    assert renew(database, []) == []


def test_a_job_that_is_given_back_is_claimable_at_once_and_its_attempt_does_not_count(
    database: Database,
) -> None:
    ids = accept_some(database)
    settling.give_back(database, ACCOUNT, claim_some(database, ids), 0, NOW + 5)
    [row] = rows(database, Job)
    assert (row.state, row.attempts, row.worker_id) == (JobState.QUEUED, 0, None)
    assert row.lease_until_ms is None
    assert [a.outcome for a in attempts(database)] == [AttemptOutcome.RELEASED]
    assert len(claim_some(database, ids, worker_id="another")) == 1


def test_giving_back_a_claim_that_is_no_longer_held_changes_nothing(database: Database) -> None:
    ids = accept_some(database)
    old = claim_some(database, ids)
    lose_workers(database)
    claim_some(database, ids, worker_id="another")
    settling.give_back(database, ACCOUNT, old, 0, NOW)
    [row] = rows(database, Job)
    assert (row.state, row.worker_id, row.attempts) == (JobState.RUNNING, "another", 1)


def test_a_lease_that_ran_out_puts_the_job_back_into_the_outbox(database: Database) -> None:
    ids = accept_some(database)
    claim_some(database, ids)
    assert sweep(database, NOW + LEASE) == (0, 0)
    assert sweep(database, AFTER) == (1, 0)
    [row] = rows(database, Job)
    assert (row.state, row.published_ms, row.worker_id) == (JobState.QUEUED, None, None)
    assert row.attempts == 0
    [attempt] = attempts(database)
    assert (attempt.outcome, attempt.ended_ms) == (AttemptOutcome.LOST, AFTER)
    assert attempt.error == f"{VANISHED}: not counted"


def test_who_loses_one_lease_loses_all_and_the_others_keep_theirs(database: Database) -> None:
    first, later, others = (accept_some(database) for _ in range(3))
    claim_some(database, first)
    claim_some(database, later, now_ms=NOW + 10)
    claim_some(database, others, worker_id="another", now_ms=NOW + 10)
    assert sweep(database, AFTER) == (2, 0)
    states = claiming.states(database, [*first, *later, *others])
    assert [states[i] for i in (*first, *later, *others)] == ["queued", "queued", "running"]


def test_a_worker_that_lives_loses_only_the_claims_whose_leases_ran_out(
    database: Database,
) -> None:
    open_books(database)
    first, unknown = (accept_some(database, 2) for _ in range(2))
    held = claim_some(database, first)
    claim_some(database, unknown)
    renew(database, held, now_ms=NOW + 10)
    for _ in range(3):
        assert sweep(database, AFTER, max_attempts=1) == (2, 0)
        assert counted(database) == dict.fromkeys(unknown, (0, 0)) | dict.fromkeys(first, (1, 0))
        claim_some(database, unknown)
    assert {a.error for a in attempts(database)} == {
        None,
        "its lease ran out, and its worker lives: not counted",
    }
    worker_time.close_silent(database, NOW + 1)
    assert sweep(database, AFTER) == (4, 0)


def test_jobs_that_were_lost_together_lose_no_attempt_and_are_suspected(
    database: Database,
) -> None:
    ids = accept_some(database, 51)
    claims = claim_some(database, ids)
    assert lose(database, claims, together=True) == (51, 0)
    assert counted(database) == dict.fromkeys(ids, (0, 1))
    assert {a.error for a in attempts(database)} == {
        "the engine died, together with others: not counted"
    }
    claim_some(database, ids)
    lose_workers(database, max_attempts=1)
    assert counted(database) == dict.fromkeys(ids, (0, 2))


def test_the_first_worker_that_vanishes_makes_nobody_suspect(database: Database) -> None:
    ids = accept_some(database, 3)
    claim_some(database, ids)
    assert lose_workers(database, max_attempts=1) == (3, 0)
    assert counted(database) == dict.fromkeys(ids, (0, 0))
    claim_some(database, ids)
    lose_workers(database, max_attempts=1)
    assert counted(database) == dict.fromkeys(ids, (0, 1))


def test_a_suspected_job_that_is_lost_alone_loses_its_attempt(database: Database) -> None:
    ids = accept_some(database, 2)
    lose(database, claim_some(database, ids), together=True)
    assert lose_engines(database, claim_some(database, ids), max_attempts=1) == (0, 2)


def test_of_the_workers_that_vanish_with_a_job_alone_every_fourth_counts(
    database: Database,
) -> None:
    ids = accept_some(database)
    seen = []
    for _ in range(8):
        assert vanish(database, ids) == (1, 0)
        seen.append(counted(database)[ids[0]])
    assert seen == [(0, 0)] * 3 + [(1, 0)] * 4 + [(2, 0)]
    errors = [attempt.error for attempt in attempts(database)]
    assert errors == ([f"{VANISHED}: not counted"] * 3 + [VANISHED]) * 2


def test_losses_of_other_kinds_are_none_of_the_four(database: Database) -> None:
    job, company = accept_some(database, 2)
    vanish(database, [job])
    claim_some(database, [job, company])
    lose_workers(database)
    vanish(database, [job])
    lose(database, claim_some(database, [job, company]), together=True)
    lose_engines(database, claim_some(database, [job]))
    assert counted(database)[job] == (1, 2)
    vanish(database, [job])
    assert counted(database)[job] == (1, 2)
    vanish(database, [job])
    assert counted(database)[job] == (2, 2)
    assert counted(database)[company] == (0, 1)


def test_a_suspected_job_is_claimed_only_when_asked_for(database: Database) -> None:
    ids = accept_some(database, 2)
    lose(database, claim_some(database, ids), together=True)
    plain = claiming.claim(database, ids, worker_id=WORKER, lease_ms=LEASE, now_ms=NOW)
    assert plain.claims == []
    assert claiming.standings(database, [*ids, "stranger"]) == dict.fromkeys(
        ids, (JobState.QUEUED, 1)
    )
    assert len(claim_some(database, ids)) == 2


def test_what_died_with_its_engine_need_not_wait_for_its_lease(database: Database) -> None:
    held = claim_some(database, accept_some(database, 2))
    assert lose(database, held[:1]) == (1, 0)
    assert state_of(database, held[0].job_id) is JobState.QUEUED
    assert state_of(database, held[1].job_id) is JobState.RUNNING


@pytest.mark.parametrize("together", [True, False])
def test_only_what_is_still_held_can_be_lost(database: Database, *, together: bool) -> None:
    ids = accept_some(database, 2)
    old = claim_some(database, ids)
    lose_workers(database)
    [new] = claim_some(database, ids[:1], worker_id="another")
    before = counted(database)
    assert lose(database, old, together=together) == (0, 0)
    assert counted(database) == before
    assert renew(database, [new], worker_id="another") == []


def test_a_job_waits_longer_after_each_loss_and_is_dead_after_the_last(database: Database) -> None:
    ids = accept_some(database)
    now, waits = NOW, []
    for _ in range(3):
        held = claim_some(database, ids, now_ms=now)
        requeued, dead = lose_engines(database, held, now_ms=now, max_attempts=3)
        [row] = rows(database, Job)
        waits.append(None if row.not_before_ms is None else row.not_before_ms - now)
        now = row.not_before_ms or now
    assert (requeued, dead) == (0, 1)
    assert waits[0] == 0
    assert waits[1] is not None
    assert waits[1] > 0
    assert (row.state, row.attempts, row.finished_ms) == (JobState.DEAD, 3, now)
    assert row.error == "lost in each of 3 attempts; the last time: the engine died"
    assert [a.outcome for a in attempts(database)] == [AttemptOutcome.LOST] * 3
    assert claim_some(database, ids, now_ms=now + 10**9) == []


def test_one_sweep_ends_some_and_requeues_the_others(database: Database) -> None:
    ids = accept_some(database, 5)
    for _ in range(3):
        vanish(database, ids[:1])
    assert vanish(database, ids, max_attempts=1) == (4, 1)
    [dead] = rows(database, Job, Job.state == JobState.DEAD)
    assert (dead.id, dead.error) == (
        ids[0],
        f"lost in each of 1 attempts; the last time: {VANISHED}",
    )
