"""Budgets for tests: drafts that reserve, and what the ledger says of it."""

from typing import Any

from penstock_shared.budgets import Budget
from penstock_shared.ledger import accepting, budgeting
from penstock_shared.ledger.accepting import Accepted, Draft, Outcome
from penstock_shared.ledger.budgeting import Hold
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import BudgetPeriod
from tests.examples import NOW, a_draft, claim_some, rows


def a_budget(pusd: int, **fields: Any) -> Budget:
    """So many picodollars a day."""
    return Budget(**{"usd": f"{pusd}e-12", "per": "day", **fields})


def a_hold(pusd: int, *budgets: Budget, now_ms: int = NOW) -> Hold:
    """What a request reserves that is submitted at this moment."""
    return Hold(pusd, tuple(budget.period(now_ms) for budget in budgets))


def held(pusd: int, *budgets: Budget, now_ms: int = NOW, **fields: Any) -> Draft:
    """A request that may cost so much."""
    return a_draft(**fields)._replace(hold=a_hold(pusd, *budgets, now_ms=now_ms))


def submit(database: Database, *drafts: Draft) -> list[Outcome]:
    """Accept them in one batch."""
    return accepting.accept(database, drafts, NOW)


def submit_one(database: Database, draft: Draft) -> str:
    """Accept one that fits; returns its job's id."""
    [outcome] = submit(database, draft)
    assert isinstance(outcome, Accepted)
    return outcome.job_id


def claimed(database: Database, budget: Budget, pusd: int = 40) -> Claim:
    """A job under a budget that a worker holds."""
    [claim] = claim_some(database, [submit_one(database, held(pusd, budget))])
    return claim


def standing(database: Database, budget: Budget, now_ms: int = NOW) -> tuple[int, int]:
    """What is spent, and what is reserved."""
    [found] = budgeting.standings(database, [budget], now_ms)
    return found.spent_pusd, found.reserved_pusd


def used(database: Database) -> dict[str, tuple[int, int]]:
    """What is spent and reserved in each period."""
    return {row.id: (row.spent_pusd, row.reserved_pusd) for row in rows(database, BudgetPeriod)}
