"""Loading: the lines of a batch enter the ledger, each once, however often a command is stopped."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import insert, update

from penstock_shared.errors import BatchBusy
from penstock_shared.ledger import accepting, budgeting
from penstock_shared.ledger.accepting import Draft
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Batch, BatchRefusal, Job


class Refusal(NamedTuple):
    """A line that is wrong; see ``schema_batches.BatchRefusal``."""

    line: int
    custom_id: str | None
    code: str
    message: str
    param: str | None


def load(
    database: Database,
    batch_id: str,
    *,
    loaded: int,
    upto: int,
    drafts: Sequence[Draft],
    refusals: Sequence[Refusal],
    now_ms: int,
) -> None:
    """Add the lines after ``loaded``, ``upto`` in all, in one commit: drafts and wrong ones.

    They wait in the backlog until workers have room. Raises BudgetExceeded when the budgets have
    not enough left for all of them, and BatchBusy when another command has loaded them; nothing is
    added then.
    """
    with database.write() as connection:
        moved = connection.execute(
            update(Batch).where(Batch.id == batch_id, Batch.loaded == loaded).values(loaded=upto)
        )
        if not moved.rowcount:
            raise BatchBusy(f"another command loads batch {batch_id}; wait for it, or stop it")
        rows = [accepting.row_of(draft, now_ms) for draft in drafts]
        if rows:
            connection.execute(insert(Job), rows)
        if refusals:
            connection.execute(
                insert(BatchRefusal), [{"batch_id": batch_id, **r._asdict()} for r in refusals]
            )
        holds = {
            row["id"]: draft.hold
            for row, draft in zip(rows, drafts, strict=True)
            if draft.hold is not None
        }
        if holds:
            refused = budgeting.reserve(
                connection, holds, is_sqlite=database.is_sqlite, now_ms=now_ms
            )
            if refused:
                raise next(iter(refused.values()))
