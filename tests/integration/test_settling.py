"""One result and one charge for each job, whatever happens."""

from typing import Any

import pytest

from penstock_shared.ledger import settling, worker_time
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, CacheEntry, Charge, Job, JobResult, WorkerTime
from penstock_shared.ledger.settling import Account, NewEntry, Settlement
from penstock_shared.words import AttemptOutcome, JobState
from tests.examples import (
    ACCOUNT,
    NOW,
    WORKER,
    accept_some,
    an_answer,
    claim_some,
    lose_workers,
    rows,
    state_of,
    succeeded,
    together,
)

OTHER = Account("small-another", "small")


@pytest.fixture(autouse=True)
def _books(database: Database) -> None:
    for worker_id in (WORKER, OTHER.worker_id):
        worker_time.open_books(
            database,
            worker_id=worker_id,
            tier="small",
            host="here",
            price_per_hour_pusd=1,
            started_ms=NOW,
        )


def settle(database: Database, *settlements: Settlement, account: Account = ACCOUNT) -> set[str]:
    return settling.settle(database, account, settlements, NOW + 50)


def books(database: Database, account: Account = ACCOUNT) -> tuple[int, int]:
    [row] = rows(database, WorkerTime, WorkerTime.worker_id == account.worker_id)
    return row.charged_pusd, row.waste_pusd


def claimed_again(database: Database, held: list[Claim], account: Account) -> list[Claim]:
    """The claims are lost, and another worker has the jobs."""
    lose_workers(database)
    ids = [claim.job_id for claim in held]
    return claim_some(database, ids, worker_id=account.worker_id)


def entry(**changes: Any) -> NewEntry:
    new = NewEntry("key", "partition", "What?", "enc", b"\0" * 8, NOW + 1000, "a-model")
    return new._replace(**changes)


def test_a_group_of_answers_is_one_result_and_one_charge_each(database: Database) -> None:
    held = claim_some(database, accept_some(database, 5, tenant="acme"))
    settlements = [succeeded(claim, cost_pusd=100 + n) for n, claim in enumerate(held)]
    assert settle(database, *settlements) == {claim.job_id for claim in held}
    assert len(rows(database, JobResult)) == 5
    charges = {row.job_id: row for row in rows(database, Charge)}
    assert [charges[claim.job_id].amount_pusd for claim in held] == [100, 101, 102, 103, 104]
    assert {(c.tenant, c.tier, c.worker_id) for c in charges.values()} == {("acme", *ACCOUNT[::-1])}
    assert books(database) == (510, 0)


def test_a_settled_job_is_closed_with_its_attempt(database: Database) -> None:
    [claim] = claim_some(database, accept_some(database))
    settle(database, succeeded(claim))
    [job], [attempt] = rows(database, Job), rows(database, Attempt)
    assert (job.state, job.finished_ms, job.lease_until_ms) == (JobState.SUCCEEDED, NOW + 50, None)
    assert (attempt.outcome, attempt.ended_ms) == (AttemptOutcome.SUCCEEDED, NOW + 50)
    assert attempt.waste_pusd == 0


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (JobState.FAILED, AttemptOutcome.FAILED),
        (JobState.CANCELLED, AttemptOutcome.CANCELLED),
        (JobState.EXPIRED, AttemptOutcome.EXPIRED),
    ],
)
def test_an_end_without_an_answer_is_waste_and_no_charge(
    database: Database, state: JobState, outcome: AttemptOutcome
) -> None:
    [claim] = claim_some(database, accept_some(database))
    settle(database, Settlement(claim, state, 70, error="because"))
    [job], [attempt] = rows(database, Job), rows(database, Attempt)
    assert (job.state, job.error) == (state, "because")
    assert (attempt.outcome, attempt.error, attempt.waste_pusd) == (outcome, "because", 70)
    assert rows(database, JobResult) == rows(database, Charge) == []
    assert books(database) == (0, 70)


def test_a_late_settlement_is_refused_and_booked_as_waste(database: Database) -> None:
    late = claim_some(database, accept_some(database))
    [current] = claimed_again(database, late, OTHER)
    assert settle(database, succeeded(late[0], cost_pusd=30)) == set()
    assert state_of(database, current.job_id) is JobState.RUNNING
    assert rows(database, JobResult) == rows(database, Charge) == []
    assert books(database) == (0, 30)
    assert settle(database, succeeded(current, cost_pusd=40), account=OTHER) == {current.job_id}
    assert books(database, OTHER) == (40, 0)


def test_settling_twice_changes_nothing(database: Database) -> None:
    [claim] = claim_some(database, accept_some(database))
    settle(database, succeeded(claim, cost_pusd=10))
    again = succeeded(claim, cost_pusd=10, answer=an_answer("another text"))
    assert settle(database, again) == {claim.job_id}
    assert [row.text for row in rows(database, JobResult)] == [an_answer().text]
    assert [row.amount_pusd for row in rows(database, Charge)] == [10]
    assert books(database) == (10, 0)


@pytest.mark.parametrize("live_first", [True, False])
def test_a_dead_and_a_live_claim_of_one_job_in_one_group_give_one_result(
    database: Database, live_first: bool
) -> None:
    dead = claim_some(database, accept_some(database))
    [live] = claimed_again(database, dead, ACCOUNT)
    pair = [succeeded(dead[0], cost_pusd=3), succeeded(live, cost_pusd=5)]
    assert settle(database, *(pair[::-1] if live_first else pair)) == {live.job_id}
    assert [row.amount_pusd for row in rows(database, Charge)] == [5]
    assert books(database) == (5, 3)
    outcomes = {row.fence: row.outcome for row in rows(database, Attempt)}
    assert outcomes == {1: AttemptOutcome.LOST, 2: AttemptOutcome.SUCCEEDED}


def test_threads_that_settle_the_same_claim_at_once_charge_it_once(database: Database) -> None:
    held = claim_some(database, accept_some(database, 10))

    def settle_all(number: int) -> set[str]:
        order = held if number % 2 else held[::-1]
        return settle(database, *(succeeded(claim, cost_pusd=1) for claim in order))

    settled = together(6, settle_all)
    assert settled == [{claim.job_id for claim in held}] * 6
    assert len(rows(database, Charge)) == len(rows(database, JobResult)) == 10
    assert books(database) == (10, 0)


def test_an_answer_enters_the_cache_in_the_same_commit(database: Database) -> None:
    [claim] = claim_some(database, accept_some(database, tenant="acme"))
    settle(database, succeeded(claim, cost_pusd=12, entry=entry()))
    [row] = rows(database, CacheEntry)
    assert (row.key, row.partition, row.question) == ("key", "partition", "What?")
    assert (row.tenant, row.tier, row.text) == ("acme", "small", an_answer().text)
    assert (row.encoder, row.vector, row.charge_pusd) == ("enc", b"\0" * 8, 12)
    assert (row.model, row.used_ms, row.hits) == ("a-model", NOW + 50, 0)


def test_an_entry_with_a_known_key_is_renewed(database: Database) -> None:
    first, second = claim_some(database, accept_some(database, 2))
    settle(database, succeeded(first, entry=entry()))
    newer = an_answer("a newer text")
    settle(database, succeeded(second, answer=newer, entry=entry(expires_ms=NOW + 9000)))
    [row] = rows(database, CacheEntry)
    assert (row.text, row.expires_ms) == ("a newer text", NOW + 9000)


def test_the_same_key_twice_in_one_group_is_one_entry(database: Database) -> None:
    held = claim_some(database, accept_some(database, 2))
    assert len(settle(database, *(succeeded(claim, entry=entry()) for claim in held))) == 2
    assert len(rows(database, CacheEntry)) == 1


def test_a_refused_answer_does_not_enter_the_cache(database: Database) -> None:
    late = claim_some(database, accept_some(database))
    claimed_again(database, late, OTHER)
    settle(database, succeeded(late[0], entry=entry()))
    assert rows(database, CacheEntry) == []


def test_a_nul_character_in_an_answer_does_not_stop_the_settlement(database: Database) -> None:
    [claim] = claim_some(database, accept_some(database))
    answer = an_answer("before\x00after")
    assert settle(database, succeeded(claim, answer=answer, entry=entry())) == {claim.job_id}
    assert [row.text for row in rows(database, JobResult)] == ["before\ufffdafter"]
    assert [row.text for row in rows(database, CacheEntry)] == ["before\ufffdafter"]
