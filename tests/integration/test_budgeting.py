"""Money is reserved when a job is accepted, and let go once, however the job ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from penstock_shared.errors import BudgetExceeded, IdempotencyConflict
from penstock_shared.ledger import accepting, claiming, dead, settling, sweeping
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.words import JobState, Source
from tests.budgets import a_budget, held, standing, submit, submit_one, used
from tests.examples import (
    ACCOUNT,
    LEASE,
    NOW,
    a_draft,
    accept_some,
    an_answer,
    claim_some,
    lose_engines,
    lose_workers,
    rows,
    succeeded,
)

DAY = a_budget(100)
DAY_MS = 86_400_000


def claimed(database: Database, pusd: int = 40) -> Claim:
    [claim] = claim_some(database, [submit_one(database, held(pusd, DAY))])
    return claim


def ended(claim: Claim, state: JobState, cost_pusd: int) -> settling.Settlement:
    return settling.Settlement(claim, state, cost_pusd, error="an error")


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    yield sent
    event.remove(database._engine, "before_cursor_execute", note)


def test_an_accepted_job_reserves_what_it_may_cost(database: Database) -> None:
    submit_one(database, held(40, DAY))
    assert standing(database, DAY) == (0, 40)


def test_the_last_picodollar_can_be_reserved_and_no_more(database: Database) -> None:
    submit_one(database, held(100, DAY))
    [refused] = submit(database, held(1, DAY))
    assert isinstance(refused, BudgetExceeded)
    assert standing(database, DAY) == (0, 100)
    assert len(rows(database, Job)) == 1


def test_a_refusal_names_the_budget_what_is_left_and_when_it_renews(database: Database) -> None:
    budget = a_budget(100, tenant="acme", workflow="nightly")
    submit_one(database, held(70, budget))
    [refused] = submit(database, held(40, budget))
    assert isinstance(refused, BudgetExceeded)
    assert refused.message == (
        "the budget of tenant 'acme', workflow 'nightly': 0.0000000001 USD per day has "
        "0.00000000003 USD left, and this request may cost 0.00000000004 USD; the budget renews at "
        "2027-01-16T00:00:00Z; wait until then, or lower max_tokens"
    )
    assert refused.renews_ms == budget.period(NOW).ends_ms
    assert refused.retry_after_s == (refused.renews_ms - NOW) / 1000
    assert (refused.budget, refused.code, refused.exit_status) == (
        budget.label,
        "budget_exceeded",
        77,
    )


def test_a_request_that_never_fits_is_told_so(database: Database) -> None:
    [refused] = submit(database, held(101, DAY))
    assert isinstance(refused, BudgetExceeded)
    assert "it never fits: lower max_tokens" in refused.message


def test_of_a_batch_those_that_fit_are_accepted_in_order(database: Database) -> None:
    outcomes = submit(database, *(held(pusd, DAY) for pusd in (60, 50, 30, 20, 10)), a_draft())
    fits = [isinstance(outcome, Accepted) for outcome in outcomes]
    assert fits == [True, False, True, False, True, True]
    assert standing(database, DAY) == (0, 100)
    accepted = {outcome.job_id for outcome in outcomes if isinstance(outcome, Accepted)}
    assert {row.id for row in rows(database, Job)} == accepted


def test_a_large_batch_is_reserved_to_the_last_picodollar(database: Database) -> None:
    outcomes = submit(database, *(held(1, a_budget(1_200)) for _ in range(2_500)))
    assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True] * 1_200 + [
        False
    ] * 1_300
    assert len(rows(database, Job)) == 1_200


def test_a_request_under_two_budgets_takes_from_both_or_from_none(database: Database) -> None:
    month = a_budget(130, per="month")
    assert isinstance(submit(database, held(80, DAY, month))[0], Accepted)
    assert isinstance(submit(database, held(30, DAY, month))[0], BudgetExceeded)
    assert isinstance(submit(database, held(50, month))[0], Accepted)
    assert isinstance(submit(database, held(10, DAY, month))[0], BudgetExceeded)
    assert (standing(database, DAY), standing(database, month)) == ((0, 80), (0, 130))


def test_of_two_full_budgets_the_one_that_renews_last_is_named(database: Database) -> None:
    month = a_budget(100, per="month")
    submit_one(database, held(100, DAY, month))
    [refused] = submit(database, held(10, DAY, month))
    assert isinstance(refused, BudgetExceeded)
    assert refused.budget == month.label


def test_a_known_key_reserves_nothing_also_when_the_budget_is_full(database: Database) -> None:
    first = submit_one(database, held(100, DAY, idempotency_key="k"))
    again, conflict = submit(
        database,
        held(100, DAY, idempotency_key="k"),
        held(1, DAY, prompt="Another", idempotency_key="k"),
    )
    assert isinstance(again, Accepted)
    assert (again.job_id, again.is_new) == (first, False)
    assert isinstance(conflict, IdempotencyConflict)
    assert standing(database, DAY) == (0, 100)


def test_a_key_that_was_refused_can_be_used_again(database: Database) -> None:
    full = submit_one(database, held(100, DAY))
    draft = held(10, DAY, idempotency_key="k")
    assert [type(o) for o in submit(database, draft, draft)] == [BudgetExceeded] * 2
    claiming.cancel(database, [full], NOW)
    first, again = submit(database, draft, draft)
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert (first.is_new, again.is_new, first.job_id) == (True, False, again.job_id)
    assert standing(database, DAY) == (0, 10)


def test_a_foreign_job_reserves_once_however_often_it_is_delivered(database: Database) -> None:
    draft = held(30, DAY)._replace(job_id="a-celery-task")
    for _ in range(4):
        assert submit_one(database, draft) == "a-celery-task"
    assert standing(database, DAY) == (0, 30)


@pytest.mark.parametrize("cost", [0, 25, 40, 90])
def test_a_job_that_succeeds_is_settled_at_its_charge(database: Database, cost: int) -> None:
    claim = claimed(database)
    for _ in range(3):  # the connection may break after the commit
        settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=cost)], NOW)
    assert standing(database, DAY) == (cost, 0)


@pytest.mark.parametrize("source", [Source.EXACT, Source.SEMANTIC, Source.JOINED])
def test_an_answer_without_engine_costs_nothing_and_frees_all(
    database: Database, source: Source
) -> None:
    answer = an_answer(source=source)
    settling.settle(database, ACCOUNT, [succeeded(claimed(database), 0, answer=answer)], NOW)
    assert standing(database, DAY) == (0, 0)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
def test_a_running_job_without_an_answer_is_not_charged(
    database: Database, state: JobState
) -> None:
    claim = claimed(database)
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
    late = claimed(database)
    lose_workers(database)
    settling.settle(database, ACCOUNT, [succeeded(late, cost_pusd=9)], NOW)
    assert standing(database, DAY) == (0, 40)
    [claim] = claim_some(database, [late.job_id], now_ms=NOW * 2)
    settling.settle(database, ACCOUNT, [succeeded(late, 9), succeeded(claim, 7)], NOW)
    assert standing(database, DAY) == (7, 0)


def test_a_job_that_is_given_back_or_lost_keeps_its_reservation(database: Database) -> None:
    claim = claimed(database)
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
    claim = claimed(database)
    claiming.cancel(database, [claim.job_id], NOW)
    assert standing(database, DAY) == (0, 40)
    settling.settle(database, ACCOUNT, [ended(claim, JobState.CANCELLED, 3)], NOW)
    assert standing(database, DAY) == (0, 0)


@pytest.mark.parametrize("lose", ["engine", "worker"])
def test_a_dead_job_frees_what_it_had(database: Database, lose: str) -> None:
    claim = claimed(database)
    for moment in range(20):
        if lose == "engine":
            lose_engines(database, [claim], max_attempts=1)
        else:
            lose_workers(database, max_attempts=1)
        claim = (claim_some(database, [claim.job_id], now_ms=NOW * 2 + moment) or [claim])[0]
    assert rows(database, Job)[0].state == "dead"
    assert standing(database, DAY) == (0, 0)


def test_a_dead_job_that_is_dropped_frees_nothing_twice(database: Database) -> None:
    claim = claimed(database)
    lose_engines(database, [claim], max_attempts=1)
    for _ in range(2):
        dead.drop(database, [claim.job_id], NOW)
    assert standing(database, DAY) == (0, 0)


def test_a_dead_job_that_is_retried_reserves_again_whatever_is_left(database: Database) -> None:
    claim = claimed(database)
    lose_engines(database, [claim], max_attempts=1)
    submit_one(database, held(100, DAY))
    for _ in range(2):
        dead.retry(database, [claim.job_id])
    assert standing(database, DAY) == (0, 140)
    [again] = claim_some(database, [claim.job_id])
    settling.settle(database, ACCOUNT, [succeeded(again, cost_pusd=7)], NOW)
    assert standing(database, DAY) == (7, 100)


def test_a_charge_belongs_to_the_period_of_the_submit(database: Database) -> None:
    claim = claimed(database)
    submit_one(database, held(30, DAY, now_ms=NOW + DAY_MS))
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=55)], NOW + DAY_MS)
    assert standing(database, DAY) == (55, 0)
    assert standing(database, DAY, NOW + DAY_MS) == (0, 30)


def test_a_new_period_begins_with_nothing_spent(database: Database) -> None:
    submit_one(database, held(100, DAY))
    assert isinstance(submit(database, held(1, DAY))[0], BudgetExceeded)
    assert submit_one(database, held(100, DAY, now_ms=DAY.period(NOW).ends_ms))
    assert len(used(database)) == 2


def test_a_limit_that_is_changed_holds_from_the_next_submit_on(database: Database) -> None:
    submit_one(database, held(90, DAY))
    assert isinstance(submit(database, held(5, a_budget(80)))[0], BudgetExceeded)
    assert submit_one(database, held(60, a_budget(150)))
    assert standing(database, DAY) == (0, 150)


def test_money_beyond_what_a_double_can_count_is_exact(database: Database) -> None:
    huge = a_budget(9_000_000 * 10**12)
    claim = claim_some(database, [submit_one(database, held(2**62 + 1, huge))])[0]
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=2**62 - 1)], NOW)
    assert standing(database, huge) == (2**62 - 1, 0)


def test_without_budgets_no_statement_is_added(database: Database) -> None:
    ids = accept_some(database, 4)
    counts = {}
    with statements(database) as sent:
        accepting.accept(database, [a_draft(), a_draft()], NOW)
        counts["accept"] = len(sent)
        claims = claim_some(database, ids[:3])
        lost = claims[1:]
        sent.clear()
        settling.settle(database, ACCOUNT, [succeeded(claims[0])], NOW)
        counts["settle"] = len(sent)
        for name, step in {
            "lose": lambda: lose_engines(database, lost, max_attempts=1),
            "retry": lambda: dead.retry(database, [lost[0].job_id]),
            "drop": lambda: dead.drop(database, [lost[1].job_id], NOW),
            "cancel": lambda: claiming.cancel(database, ids, NOW),
            "expire": lambda: sweeping.expire_overdue(database, NOW + LEASE),
        }.items():
            sent.clear()
            step()
            counts[name] = len(sent)
    # What these took before there were budgets.
    assert counts == {
        "accept": 1,
        "settle": 6,
        "lose": 3,
        "retry": 1,
        "drop": 1,
        "cancel": 3,
        "expire": 1,
    }
    assert used(database) == {}
