"""However a job ends, what it had reserved is let go once, and its charge is booked."""

from collections.abc import Callable

import pytest

from penstock_shared.ledger import claiming, dead, settling, sweeping
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.words import JobState, Source
from tests.budgets import a_budget, claimed, held, standing, submit_one
from tests.examples import (
    ACCOUNT,
    NOW,
    a_draft,
    an_answer,
    claim_some,
    lose_engines,
    lose_workers,
    rows,
    succeeded,
)

DAY = a_budget(100)


def ended(claim: Claim, state: JobState, cost_pusd: int) -> settling.Settlement:
    return settling.Settlement(claim, state, cost_pusd, error="an error")


@pytest.mark.parametrize("cost", [0, 25, 40, 90])
def test_a_job_that_succeeds_is_settled_at_its_charge(database: Database, cost: int) -> None:
    claim = claimed(database, DAY)
    for _ in range(3):  # the connection may break after the commit
        settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=cost)], NOW)
    assert standing(database, DAY) == (cost, 0)


@pytest.mark.parametrize("source", [Source.EXACT, Source.SEMANTIC, Source.JOINED])
def test_an_answer_without_engine_costs_nothing_and_frees_all(
    database: Database, source: Source
) -> None:
    answer = an_answer(source=source)
    settling.settle(database, ACCOUNT, [succeeded(claimed(database, DAY), 0, answer=answer)], NOW)
    assert standing(database, DAY) == (0, 0)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
def test_a_running_job_without_an_answer_is_not_charged(
    database: Database, state: JobState
) -> None:
    claim = claimed(database, DAY)
    for _ in range(2):
        settling.settle(database, ACCOUNT, [ended(claim, state, 30)], NOW)
    assert standing(database, DAY) == (0, 0)


def test_one_settlement_of_many_adds_up_for_each_budget(database: Database) -> None:
    other = a_budget(100, tenant="other")
    ids = [
        submit_one(database, draft)
        for draft in (held(10, DAY), held(20, DAY, other), held(30, other), a_draft())
    ]
    claims = claim_some(database, ids)
    ends = [succeeded(c, cost_pusd=cost) for c, cost in zip(claims, (1, 2, 4, 8), strict=True)]
    settling.settle(database, ACCOUNT, [*ends[:3], ends[3], ends[0]], NOW)
    assert (standing(database, DAY), standing(database, other)) == ((3, 0), (6, 0))


def test_a_late_settlement_changes_no_budget(database: Database) -> None:
    late = claimed(database, DAY)
    lose_workers(database)
    settling.settle(database, ACCOUNT, [succeeded(late, cost_pusd=9)], NOW)
    assert standing(database, DAY) == (0, 40)
    [claim] = claim_some(database, [late.job_id], now_ms=NOW * 2)
    settling.settle(database, ACCOUNT, [succeeded(late, 9), succeeded(claim, 7)], NOW)
    assert standing(database, DAY) == (7, 0)


def test_a_job_that_is_given_back_or_lost_keeps_its_reservation(database: Database) -> None:
    claim = claimed(database, DAY)
    settling.give_back(database, ACCOUNT, [claim], 5, NOW)
    [again] = claim_some(database, [claim.job_id])
    lose_engines(database, [again])
    assert standing(database, DAY) == (0, 40)


def cancel(database: Database, _job_id: str) -> None:
    claiming.cancel(database, [_job_id], NOW)


def sweep(database: Database, _job_id: str) -> None:
    sweeping.expire_overdue(database, NOW + 1)


def claim_late(database: Database, job_id: str) -> None:
    assert claim_some(database, [job_id], now_ms=NOW + 1) == []


@pytest.mark.parametrize("end", [cancel, sweep, claim_late])
def test_a_queued_job_that_ends_frees_what_it_had(
    database: Database, end: Callable[[Database, str], None]
) -> None:
    job_id = submit_one(database, held(40, DAY))
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET deadline_ms = {NOW + 1}")
    for _ in range(2):
        end(database, job_id)
    assert standing(database, DAY) == (0, 0)


def test_cancelling_a_running_job_waits_for_its_worker(database: Database) -> None:
    claim = claimed(database, DAY)
    claiming.cancel(database, [claim.job_id], NOW)
    assert standing(database, DAY) == (0, 40)
    settling.settle(database, ACCOUNT, [ended(claim, JobState.CANCELLED, 3)], NOW)
    assert standing(database, DAY) == (0, 0)


@pytest.mark.parametrize("lose", ["engine", "worker"])
def test_a_dead_job_frees_what_it_had(database: Database, lose: str) -> None:
    claim = claimed(database, DAY)
    for moment in range(20):
        if lose == "engine":
            lose_engines(database, [claim], max_attempts=1)
        else:
            lose_workers(database, max_attempts=1)
        claim = (claim_some(database, [claim.job_id], now_ms=NOW * 2 + moment) or [claim])[0]
    assert rows(database, Job)[0].state == "dead"
    assert standing(database, DAY) == (0, 0)


def test_a_dead_job_that_is_dropped_frees_nothing_twice(database: Database) -> None:
    claim = claimed(database, DAY)
    lose_engines(database, [claim], max_attempts=1)
    for _ in range(2):
        dead.drop(database, [claim.job_id], NOW)
    assert standing(database, DAY) == (0, 0)


def test_a_dead_job_that_is_retried_reserves_again_whatever_is_left(database: Database) -> None:
    claim = claimed(database, DAY)
    lose_engines(database, [claim], max_attempts=1)
    submit_one(database, held(100, DAY))
    for _ in range(2):
        dead.retry(database, [claim.job_id])
    assert standing(database, DAY) == (0, 140)
    [again] = claim_some(database, [claim.job_id])
    settling.settle(database, ACCOUNT, [succeeded(again, cost_pusd=7)], NOW)
    assert standing(database, DAY) == (7, 100)
