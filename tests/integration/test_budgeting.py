"""Money is reserved when a job is accepted, in the period of its submit, or it is refused."""

import re
from pathlib import Path
from typing import Any

from sqlalchemy import text

from penstock_shared.errors import BudgetExceeded, IdempotencyConflict
from penstock_shared.ledger import claiming, settling
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from tests.budgets import a_budget, claimed, held, standing, submit, submit_one, used
from tests.examples import (
    ACCOUNT,
    NOW,
    a_draft,
    claim_some,
    rows,
    succeeded,
)

PAGE = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")
DAY = a_budget(100)
DAY_MS = 86_400_000


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
        "the budget of tenant 'acme', workflow 'nightly' (0.0000000001 USD per day) has "
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


def test_a_budget_in_which_it_never_fits_is_named_before_one_that_is_full(
    database: Database,
) -> None:
    month = a_budget(1_000, per="month")
    submit_one(database, held(1_000, month))
    [refused] = submit(database, held(101, DAY, month))
    assert isinstance(refused, BudgetExceeded)
    assert refused.budget == DAY.label
    assert "it never fits" in refused.message


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


def test_a_charge_belongs_to_the_period_of_the_submit(database: Database) -> None:
    claim = claimed(database, DAY)
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


def test_the_questions_of_the_page_are_answered(database: Database) -> None:
    claim = claimed(database, DAY)
    submit_one(database, held(30, DAY))
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=55)], NOW)
    estimates, ends, wrong = re.findall(r"```sql\n(.*?);\n```", PAGE, re.DOTALL)

    def ask(question: str) -> list[tuple[Any, ...]]:
        with database.read() as connection:
            return [tuple(row) for row in connection.execute(text(question))]

    assert ask(estimates) == [("small", 1, 40, 55, 15)]
    [row] = ask(ends)
    assert row[4:] == (100, 55, 30, 15)
    assert ask(wrong) == []
    with database.write() as connection:
        connection.execute(text("UPDATE budget_periods SET reserved_pusd = 31"))
    assert len(ask(wrong)) == 1
