"""The audit finds out whether everything adds up, and why a job has no charge."""

import itertools
from typing import Any

import pytest
from sqlalchemy import delete, update

from penstock_shared import clock
from penstock_shared.ledger import auditing, claiming, losing, settling, worker_time
from penstock_shared.ledger.auditing import Audit, LifeState, Window
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import BudgetPeriod, Charge, Job, WorkerTime
from penstock_shared.ledger.settling import Account, Settlement
from penstock_shared.ledger.worker_time import Spent
from penstock_shared.words import JobState, Source
from tests.budgets import a_budget, claimed, held, submit_one
from tests.examples import (
    ACCOUNT,
    LEASE,
    NOW,
    WORKER,
    accept_some,
    an_answer,
    claim_some,
    lose_engines,
    succeeded,
)

HOUR = 3_600_000
ALWAYS = Window()


def a_life(
    database: Database,
    worker_id: str = WORKER,
    started_ms: int = NOW,
    price_per_hour_pusd: int = 100,
) -> None:
    worker_time.open_books(
        database,
        worker_id=worker_id,
        tier="small",
        host="here",
        price_per_hour_pusd=price_per_hour_pusd,
        started_ms=started_ms,
    )


def a_job(database: Database, cost_pusd: int = 25, **settled: Any) -> Claim:
    """A job that was settled, by default with an answer of the engine."""
    [claim] = claim_some(database, accept_some(database))
    settling.settle(
        database, ACCOUNT, [succeeded(claim, cost_pusd=cost_pusd)._replace(**settled)], NOW
    )
    return claim


def ended(state: JobState) -> dict[str, Any]:
    return {"state": state, "answer": None, "error": "an error"}


def look(database: Database, window: Window = ALWAYS, *, silent_before_ms: int = NOW) -> Audit:
    return auditing.audit(database, window, silent_before_ms=silent_before_ms)


def reasons(audit: Audit) -> dict[str, int]:
    return {each.reason: each.jobs for each in audit.uncharged}


def change(database: Database, table: Any, **values: Any) -> None:
    with database.write() as connection:
        connection.execute(update(table).values(**values))


def test_an_empty_ledger_adds_up(database: Database) -> None:
    assert look(database) == Audit([], [], [])


def test_a_life_that_ended_adds_up(database: Database) -> None:
    a_life(database)
    for _ in range(2):
        a_job(database)
    a_job(database, 5, **ended(JobState.FAILED))
    worker_time.close_books(database, WORKER, Spent(100, 45), NOW + HOUR, died=False)
    audit = look(database)
    [life] = audit.lives
    assert (life.state, life.charges, life.started_ms, life.until_ms) == (
        LifeState.ENDED,
        2,
        NOW,
        NOW + HOUR,
    )
    amounts = ("paid", "charged", "waste", "idle", "in_flight", "difference")
    assert [audit.total(f"{name}_pusd") for name in amounts] == [100, 50, 5, 45, 0, 0]
    assert audit.problems == []


def test_what_a_running_worker_has_begun_is_in_flight(database: Database) -> None:
    a_life(database)
    a_job(database)
    worker_time.keep_books(database, WORKER, Spent(100, 40), NOW)
    audit = look(database)
    [life] = audit.lives
    assert (life.state, life.in_flight_pusd, life.difference_pusd) == (LifeState.RUNNING, 35, 0)
    assert audit.problems == []


def test_what_a_killed_worker_had_begun_is_waste_before_and_after_a_sweep(
    database: Database,
) -> None:
    a_life(database)
    a_job(database)
    worker_time.keep_books(database, WORKER, Spent(95, 40), NOW + HOUR)
    before = look(database, silent_before_ms=NOW + HOUR + 1)
    worker_time.close_silent(database, NOW + HOUR + 1)
    after = look(database, silent_before_ms=NOW + HOUR + 1)
    [silent], [ended] = before.lives, after.lives
    assert (silent.paid_pusd, silent.waste_pusd, silent.difference_pusd) == (100, 35, 0)
    assert silent._replace(state=LifeState.ENDED) == ended
    assert before.problems == after.problems == []


def test_a_running_worker_that_spent_more_than_it_was_paid_is_found(database: Database) -> None:
    a_life(database)
    a_job(database, 25)
    worker_time.keep_books(database, WORKER, Spent(20, 0), NOW)
    audit = look(database)
    assert (audit.lives[0].in_flight_pusd, audit.total("difference_pusd")) == (0, -5)
    assert audit.problems == [f"{WORKER}: -5 picodollars of its price x time are not explained"]


@pytest.mark.parametrize("column", ["paid_pusd", "waste_pusd", "idle_pusd", "lost_pusd"])
def test_one_picodollar_in_any_column_of_the_books_is_found(
    database: Database, column: str
) -> None:
    """A dear one, so that a picodollar is less than what clocks err."""
    a_life(database, price_per_hour_pusd=10**6)
    a_job(database)
    worker_time.close_books(database, WORKER, Spent(25, 0), NOW, died=False)
    assert look(database).problems == []
    change(database, WorkerTime, **{column: getattr(WorkerTime, column) + 1})
    audit = look(database)
    assert abs(audit.total("difference_pusd")) == 1
    assert len(audit.problems) == 1


def test_a_changed_charge_is_found(database: Database) -> None:
    a_life(database)
    a_job(database)
    worker_time.close_books(database, WORKER, Spent(25, 0), NOW + HOUR // 4, died=False)
    change(database, Charge, amount_pusd=24)
    audit = look(database)
    assert audit.total("difference_pusd") == 1
    assert audit.problems == [f"{WORKER}: its charges are -1 picodollars more than its books say"]


def test_a_charge_of_a_worker_without_books_is_found(database: Database) -> None:
    a_life(database)
    a_job(database)
    change(database, Charge, worker_id="nobody")
    audit = look(database)
    assert [life.state for life in audit.lives] == [LifeState.RUNNING, LifeState.UNKNOWN]
    assert "nobody: 1 charges of a worker without books" in audit.problems


def test_a_missing_charge_and_one_too_many_are_found(database: Database) -> None:
    a_life(database)
    without, failed = a_job(database), a_job(database)
    with database.write() as connection:
        connection.execute(delete(Charge).where(Charge.job_id == without.job_id))
        connection.execute(
            update(Job).where(Job.id == failed.job_id).values(state=JobState.FAILED.value)
        )
    assert [each for each in look(database).uncharged if each.is_wrong] == [
        auditing.Uncharged("failed with a charge", 1, failed.job_id, is_wrong=True),
        auditing.Uncharged("succeeded without a charge", 1, without.job_id, is_wrong=True),
    ]


def test_every_job_without_a_charge_has_its_reason(database: Database) -> None:
    a_life(database)
    a_job(database)
    for source in (Source.EXACT, Source.SEMANTIC, Source.JOINED, Source.ENGINE):
        a_job(database, 0, answer=an_answer(source=source))
    for state in (JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED):
        a_job(database, 3, **ended(state))
    claiming.cancel(database, accept_some(database), NOW)
    lose_engines(database, claim_some(database, accept_some(database)), max_attempts=1)
    [running] = claim_some(database, accept_some(database))
    [queued] = accept_some(database)
    audit = look(database)
    assert reasons(audit) == {
        "cached": 2,
        "cancelled": 2,
        "dead": 1,
        "expired": 1,
        "failed": 1,
        "free": 1,
        "joined": 1,
        "queued": 1,
        "running": 1,
    }
    assert not any(each.is_wrong for each in audit.uncharged)
    listed = dict(auditing.uncharged_jobs(database, ALWAYS))
    assert (len(listed), listed[queued], listed[running.job_id]) == (11, "queued", "running")


def test_a_life_counts_whole_in_the_window_in_which_it_ended(database: Database) -> None:
    """Windows that meet have every life and every job once."""
    a_life(database)
    a_job(database)
    a_job(database, 0, answer=an_answer(source=Source.EXACT))
    worker_time.close_books(database, WORKER, Spent(100, 75), NOW + HOUR, died=False)
    a_life(database, "runs", NOW)
    worker_time.keep_books(database, "runs", Spent(7, 7), NOW + 3 * HOUR)
    borders = [None, NOW, NOW + HOUR, NOW + HOUR + 1, NOW + 4 * HOUR, None]
    found = [look(database, Window(*pair)) for pair in itertools.pairwise(borders)]
    assert [[life.worker_id for life in audit.lives] for audit in found] == [
        [],
        [],
        [WORKER],
        ["runs"],
        [],
    ]
    assert [reasons(audit) for audit in found] == [{}, {"cached": 1}, {}, {}, {}]
    assert [audit.problems for audit in found] == [[]] * 5
    assert found[2].lives[0].charged_pusd == 25


def test_a_late_answer_is_waste_once_however_often_it_is_settled(database: Database) -> None:
    """The connection may break after the commit, and nobody knows."""
    a_life(database)
    [old] = claim_some(database, accept_some(database))
    losing.requeue_lost(database, now_ms=NOW + LEASE + 1, max_attempts=3)
    claim_some(database, [old.job_id], worker_id="another", now_ms=NOW + HOUR)
    for _ in range(2):
        settling.settle(database, ACCOUNT, [succeeded(old, cost_pusd=25)], NOW, spent=Spent(30, 5))
    for _ in range(2):
        settling.give_back(database, ACCOUNT, [old], 25, NOW, spent=Spent(30, 5))
    [life] = look(database).lives
    assert (life.waste_pusd, life.in_flight_pusd, life.difference_pusd) == (25, 0, 0)


def test_a_worker_that_was_taken_for_dead_and_gives_back_lives(database: Database) -> None:
    """It may be killed before its next heartbeat, and then another sweep has to see it."""
    a_life(database)
    held = claim_some(database, accept_some(database))
    worker_time.keep_books(database, WORKER, Spent(100, 40), NOW + HOUR)
    worker_time.close_silent(database, NOW + HOUR + 1)
    settling.give_back(database, ACCOUNT, held, 60, NOW)
    [life] = look(database).lives
    assert (life.state, life.waste_pusd, life.difference_pusd) == (LifeState.RUNNING, 60, 0)
    worker_time.close_silent(database, NOW + HOUR + 1)
    assert look(database).problems == []


def test_what_a_worker_settles_is_no_more_than_what_it_was_paid(database: Database) -> None:
    """Its heartbeat is older than the costs that it settles: they bring the meter's word along."""
    a_life(database)
    given_back, answered = claim_some(database, accept_some(database, 2))
    settling.give_back(database, ACCOUNT, [given_back], 60, NOW, spent=Spent(60, 0))
    assert look(database).problems == []
    one = Settlement(answered, JobState.SUCCEEDED, 10, an_answer())
    settling.settle(database, Account(WORKER, "small"), [one], NOW, spent=Spent(70, 0))
    assert look(database).problems == []


def test_an_embedding_has_no_charge_because_it_is_one(database: Database) -> None:
    a_life(database)
    a_job(database, 0, answer=an_answer(source=Source.ENCODER))
    found = look(database)
    assert [(each.reason, each.jobs, each.is_wrong) for each in found.uncharged] == [
        ("embedding", 1, False)
    ]


def test_a_budget_that_says_another_sum_than_its_jobs_is_wrong(database: Database) -> None:
    budget = a_budget(100, tenant="acme")
    settled, waiting = claimed(database, budget), held(30, budget, tenant="acme")
    settling.settle(database, ACCOUNT, [succeeded(settled, cost_pusd=25)], NOW)
    submit_one(database, waiting)
    assert not [line for line in look(database).problems if "budget" in line]
    with database.write() as connection:
        connection.execute(update(BudgetPeriod).values(spent_pusd=24, reserved_pusd=31))
    begin = clock.to_iso(budget.period(NOW).starts_ms)
    name = f"the budget of tenant 'acme' for the day from {begin}"
    wrong = [line for line in look(database).problems if "budget" in line]
    assert wrong == [
        f"{name}: spent is 24 picodollars, and its jobs add up to 25",
        f"{name}: reserved is 31 picodollars, and its jobs add up to 30",
    ]
    later = Window(since_ms=budget.period(NOW).ends_ms)
    assert not [line for line in look(database, later).problems if "budget" in line]
