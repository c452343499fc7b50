"""A claim is exclusive, leased and fenced."""

import pytest

from penstock_shared.ledger import accepting, claiming, settling
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job
from penstock_shared.words import AttemptOutcome, JobState
from tests.examples import (
    ACCOUNT,
    LEASE,
    NOW,
    WORKER,
    a_draft,
    accept_some,
    claim_some,
    rows,
    state_of,
    together,
)


def test_a_claim_brings_the_request_and_holds_the_job(database: Database) -> None:
    draft = a_draft("Đập là gì?", max_tokens=7, tenant="acme", deadline_ms=NOW + 60_000)
    [outcome] = accepting.accept(database, [draft], NOW)
    assert isinstance(outcome, accepting.Accepted)
    [claim] = claim_some(database, [outcome.job_id])
    assert claim.request == draft.request
    assert (claim.fence, claim.created_ms) == (1, NOW)
    assert claim.deadline_ms == draft.request.deadline_ms
    [row] = rows(database, Job)
    assert (row.state, row.worker_id, row.attempts) == (JobState.RUNNING, WORKER, 1)
    assert row.lease_until_ms == NOW + LEASE
    [attempt] = rows(database, Attempt)
    assert (attempt.fence, attempt.outcome) == (1, AttemptOutcome.CLAIMED)
    assert (attempt.worker_id, attempt.started_ms, attempt.ended_ms) == (WORKER, NOW, None)


def test_claims_come_in_the_order_that_was_asked_for(database: Database) -> None:
    asked = accept_some(database, 16)[::-1]
    assert [claim.job_id for claim in claim_some(database, asked)] == asked


def test_a_job_is_claimed_once(database: Database) -> None:
    ids = accept_some(database, 3)
    assert len(claim_some(database, ids)) == 3
    assert claim_some(database, ids, worker_id="another") == []


def test_many_workers_that_claim_the_same_jobs_at_once_get_each_job_once(
    database: Database,
) -> None:
    ids = accept_some(database, 40)

    def claim(number: int) -> list[str]:
        order = ids if number % 2 else ids[::-1]
        held = claim_some(database, order, worker_id=f"worker-{number}")
        return [claim.job_id for claim in held]

    claimed = [job_id for held in together(8, claim) for job_id in held]
    assert sorted(claimed) == sorted(ids)
    assert {row.attempts for row in rows(database, Job)} == {1}
    assert len(rows(database, Attempt)) == 40


def test_an_unknown_id_is_left_out(database: Database) -> None:
    [job_id] = accept_some(database)
    assert [claim.job_id for claim in claim_some(database, ["no-such-job", job_id])] == [job_id]


def test_claiming_nothing_gives_nothing(database: Database) -> None:
    assert claim_some(database, []) == []


def test_a_job_is_not_claimed_before_its_time(database: Database) -> None:
    [job_id] = accept_some(database)
    [held] = claim_some(database, [job_id])
    with database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE jobs SET state = 'queued', not_before_ms = {NOW + 1000}"
            f" WHERE fence = {held.fence}"
        )
    assert claim_some(database, [job_id], now_ms=NOW + 999) == []
    assert state_of(database, job_id) is JobState.QUEUED
    assert len(claim_some(database, [job_id], now_ms=NOW + 1000)) == 1


def test_a_job_whose_deadline_passed_expires_instead_of_being_claimed(database: Database) -> None:
    [late] = accept_some(database, deadline_ms=NOW + 2000)
    [early] = accept_some(database, deadline_ms=NOW + 1000)
    ids = [late, early]
    assert [c.job_id for c in claim_some(database, ids, now_ms=NOW + 1000)] == ids[:1]
    assert state_of(database, ids[1]) is JobState.EXPIRED
    [row] = rows(database, Job, Job.id == ids[1])
    assert (row.finished_ms, row.attempts) == (NOW + 1000, 0)
    assert "deadline passed" in row.error


def test_each_claim_of_a_job_has_a_larger_fence(database: Database) -> None:
    ids = accept_some(database)
    fences = []
    for _ in range(4):
        held = claim_some(database, ids)
        fences.append(held[0].fence)
        settling.give_back(database, ACCOUNT, held, 0, NOW)
    assert fences == [1, 2, 3, 4]


@pytest.mark.parametrize("state", [s for s in JobState if s is not JobState.QUEUED])
def test_a_job_that_is_not_queued_is_not_claimed(database: Database, state: JobState) -> None:
    ids = accept_some(database)
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET state = '{state.value}'")
    assert claim_some(database, ids) == []
    assert state_of(database, ids[0]) is state


def test_the_states_of_many_jobs_come_together_without_the_unknown(database: Database) -> None:
    ids = accept_some(database, 1100)
    claim_some(database, ids[:2])
    states = claiming.states(database, [*ids, "no-such-job"])
    assert len(states) == 1100
    assert [states[job_id] for job_id in ids[:3]] == ["running", "running", "queued"]
