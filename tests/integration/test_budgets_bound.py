"""Callers that submit at once overspend by no more than what is in flight costs above estimates."""

import random
from typing import NamedTuple

import pytest

from penstock_shared.errors import BudgetExceeded
from penstock_shared.ledger import accepting, budgeting, claiming, settling
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.budgeting import Standing
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Charge, Job
from penstock_shared.words import JobState
from tests.budgets import a_budget, held, standing, submit
from tests.examples import ACCOUNT, NOW, claim_some, rows, succeeded, together

LIMIT = 1_000
THREADS = 8
DAY = a_budget(LIMIT)
MONTH = a_budget(LIMIT * 5, per="month", tenant="acme")


class Made(NamedTuple):
    job_id: str
    estimate: int


def overspent(database: Database) -> int:
    spent, reserved = standing(database, DAY)
    return spent + reserved - LIMIT


def test_threads_never_reserve_more_than_the_limit_and_leave_nothing_that_fits(
    database: Database,
) -> None:
    def caller(number: int) -> list[int]:
        mine = random.Random(number)
        accepted = []
        for _ in range(25):
            # Half of them name their budgets the other way round, and meet in the middle.
            budgets = (DAY, MONTH) if number % 2 else (MONTH, DAY)
            drafts = [held(mine.randint(1, 40), *budgets) for _ in range(mine.randint(1, 3))]
            outcomes = submit(database, *drafts)
            accepted += [
                draft.hold.amount_pusd
                for draft, outcome in zip(drafts, outcomes, strict=True)
                if isinstance(outcome, Accepted) and draft.hold
            ]
        return accepted

    amounts = [amount for accepted in together(THREADS, caller) for amount in accepted]
    assert standing(database, DAY) == standing(database, MONTH) == (0, sum(amounts))
    assert sum(amounts) <= LIMIT
    assert len(rows(database, Job)) == len(amounts)
    rest = LIMIT - sum(amounts)
    assert isinstance(submit(database, held(rest + 1, DAY))[0], BudgetExceeded)
    assert isinstance(submit(database, held(rest, DAY))[0], Accepted)


def test_the_last_picodollar_goes_to_one_of_many(database: Database) -> None:
    submit(database, held(LIMIT - 1, DAY))
    outcomes = together(THREADS, lambda _: submit(database, held(1, DAY))[0])
    assert sorted(type(o).__name__ for o in outcomes) == ["Accepted"] + ["BudgetExceeded"] * 7


def test_one_key_of_many_callers_reserves_once(database: Database) -> None:
    draft = held(10, DAY, idempotency_key="k")
    outcomes = together(THREADS, lambda _: submit(database, draft)[0])
    assert sum(outcome.is_new for outcome in outcomes) == 1
    assert standing(database, DAY) == (0, 10)


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_a_full_budget_is_overspent_by_what_charges_are_above_estimates(
    database: Database, factor: float
) -> None:
    """Everything in flight is settled while callers go on submitting."""
    filled = [held(20, DAY) for _ in range(50)]
    jobs = [o.job_id for o in submit(database, *filled) if isinstance(o, Accepted)]
    assert overspent(database) == 0
    claims = claim_some(database, jobs)
    cost = round(20 * factor)

    def work(number: int) -> int:
        if number % 2:
            return sum(isinstance(submit(database, held(20, DAY))[0], Accepted) for _ in range(20))
        for claim in claims[number // 2 :: THREADS // 2]:
            settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=cost)], NOW)
        return 0

    more = sum(together(THREADS, work))
    # When all callers were faster than the first two settlements, there is room now.
    more += isinstance(submit(database, held(20, DAY))[0], Accepted)
    spent, reserved = standing(database, DAY)
    assert (spent, reserved) == (50 * cost, 20 * more)
    # At most: for each job in flight when the last one was accepted, its charge less its estimate.
    assert overspent(database) <= max(0, 50 * (cost - 20))
    assert (more > 0) == (factor < 1)
    if factor > 1:
        assert overspent(database) == 50 * (60 - 20)


def test_callers_workers_and_cancellers_together_keep_within_the_bound(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each commit that accepts is looked at: what it leaves is within the limit."""
    seen: list[int] = []
    reserve = budgeting.reserve

    def watched(connection: object, holds: object, **more: object) -> object:
        refused = reserve(connection, holds, **more)  # type: ignore[arg-type]
        if len(refused) < len(holds):  # type: ignore[arg-type]
            seen.append(_used_in(connection))
        return refused

    monkeypatch.setattr(accepting.budgeting, "reserve", watched)

    def work(number: int) -> list[Made]:
        mine, done = random.Random(number), []
        for _ in range(30):
            estimate = mine.randint(10, 60)
            [outcome] = submit(database, held(estimate, DAY))
            if not isinstance(outcome, Accepted):
                continue
            done.append(Made(outcome.job_id, estimate))
            if mine.random() < 0.2:
                claiming.cancel(database, [outcome.job_id], NOW)
            elif mine.random() < 0.8:
                claims = claim_some(database, [outcome.job_id])
                cost = mine.randint(0, 2 * estimate)
                settling.settle(
                    database, ACCOUNT, [succeeded(c, cost_pusd=cost) for c in claims], NOW
                )
        return done

    jobs = [job for done in together(THREADS, work) for job in done]
    assert seen
    assert max(seen) <= LIMIT
    charges = {row.job_id: row.amount_pusd for row in rows(database, Charge)}
    still = {row.id for row in rows(database, Job) if row.state == JobState.QUEUED}
    assert standing(database, DAY) == (
        sum(charges.values()),
        sum(job.estimate for job in jobs if job.job_id in still),
    )
    # A caller has at most one job in the hands of a worker, so that many were in flight at most.
    above = sorted((charges.get(j.job_id, 0) - j.estimate for j in jobs), reverse=True)[:THREADS]
    assert overspent(database) <= sum(max(0, each) for each in above)


def test_a_standing_below_zero_is_what_was_overspent(database: Database) -> None:
    [claim] = claim_some(
        database, [o.job_id for o in submit(database, held(900, DAY)) if isinstance(o, Accepted)]
    )
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=1_300)], NOW)
    found: list[Standing] = budgeting.standings(database, [DAY], NOW)
    assert found[0].left_pusd == -300
    [refused] = submit(database, held(1, DAY))
    assert isinstance(refused, BudgetExceeded)
    assert "has 0 USD left" in refused.message


def _used_in(connection: object) -> int:
    """Of the day, as the transaction that has reserved sees it: nobody else can change it."""
    query = (
        f"SELECT spent_pusd + reserved_pusd FROM budget_periods WHERE id = '{DAY.period(NOW).id}'"
    )
    return int(connection.exec_driver_sql(query).scalar_one())  # type: ignore[attr-defined]
