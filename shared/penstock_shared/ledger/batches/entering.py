"""Entering: lines become jobs that wait in the backlog, or are refused."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, insert

from penstock_shared.ledger import accepting, budgeting
from penstock_shared.ledger.accepting import Draft
from penstock_shared.ledger.schema import BatchRefusal, Job


class Refusal(NamedTuple):
    """A line that never becomes a job; see ``schema_batches.BatchRefusal``."""

    line: int
    custom_id: str | None
    code: str
    message: str
    param: str | None


def enter(connection: Connection, drafts: Sequence[Draft], *, is_sqlite: bool, now_ms: int) -> None:
    """Insert jobs that have places in batches, and reserve what they may cost.

    Raises BudgetExceeded when the budgets have not enough left for all of them.
    """
    rows = [accepting.row_of(draft, now_ms) for draft in drafts]
    if rows:
        connection.execute(insert(Job), rows)
    pairs = zip(rows, drafts, strict=True)
    holds = {row["id"]: draft.hold for row, draft in pairs if draft.hold is not None}
    if holds:
        refused = budgeting.reserve(connection, holds, is_sqlite=is_sqlite, now_ms=now_ms)
        for error in refused.values():
            raise error


def refuse(connection: Connection, batch_id: str, refusals: Sequence[Refusal]) -> None:
    """Write down lines that are refused."""
    if refusals:
        rows = [{"batch_id": batch_id, **refusal._asdict()} for refusal in refusals]
        connection.execute(insert(BatchRefusal), rows)
