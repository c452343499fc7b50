"""Budgets cost nobody a statement who has none, and few those who have some."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from penstock_shared.ledger import accepting, claiming, dead, settling, sweeping
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.database import Database
from tests.budgets import a_budget, held, submit, used
from tests.examples import (
    ACCOUNT,
    LEASE,
    NOW,
    a_draft,
    accept_some,
    claim_some,
    lose_engines,
    succeeded,
)

DAY = a_budget(100)


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
        "cancel": 2,
        "expire": 1,
    }
    assert used(database) == {}


def test_under_budgets_a_batch_takes_one_statement_for_each_period_and_one_for_all(
    database: Database,
) -> None:
    other = a_budget(1_000, tenant="acme")
    with statements(database) as sent:
        outcomes = submit(database, *(held(1, DAY, other) for _ in range(20)))
        assert len(sent) == 1 + 2 + 1
        sent.clear()
        claiming.cancel(database, [o.job_id for o in outcomes if isinstance(o, Accepted)], NOW)
        assert len(sent) == 2 + 1
