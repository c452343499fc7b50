"""Loading: the lines of a batch enter the ledger, each once, however often a command is stopped."""

from collections.abc import Sequence

from sqlalchemy import update

from penstock_shared.errors import BatchBusy
from penstock_shared.ledger.accepting import Draft
from penstock_shared.ledger.batches import documents as waiting
from penstock_shared.ledger.batches.documents import Document
from penstock_shared.ledger.batches.entering import Refusal, enter, refuse
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Batch


def load(
    database: Database,
    batch_id: str,
    *,
    loaded: int,
    upto: int,
    drafts: Sequence[Draft],
    refusals: Sequence[Refusal],
    now_ms: int,
    documents: Sequence[Document] = (),
) -> None:
    """Add the lines after ``loaded``, ``upto`` in all, in one commit: drafts and wrong ones.

    They wait in the backlog until workers have room, and ``documents`` until their parts have
    ended. Raises BudgetExceeded when the budgets have not enough left for all of them, and
    BatchBusy when another command has loaded them; nothing is added then.
    """
    with database.write() as connection:
        moved = connection.execute(
            update(Batch).where(Batch.id == batch_id, Batch.loaded == loaded).values(loaded=upto)
        )
        if not moved.rowcount:
            raise BatchBusy(f"another command loads batch {batch_id}; wait for it, or stop it")
        refuse(connection, batch_id, refusals)
        waiting.add(connection, batch_id, documents)
        enter(connection, drafts, is_sqlite=database.is_sqlite, now_ms=now_ms)
