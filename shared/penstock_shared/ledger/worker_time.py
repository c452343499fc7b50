"""The books of a worker's life: every second is paid, and is charge, waste or idle."""

from typing import Any, NamedTuple

from sqlalchemy import case, insert, select, update

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import WorkerTime


class Spent(NamedTuple):
    """What the engine's meter counted since the worker started, in picodollars."""

    paid_pusd: int
    idle_pusd: int


class Books(NamedTuple):
    """One worker's life in picodollars: price x time, and what it was spent on."""

    worker_id: str
    paid_pusd: int
    charged_pusd: int
    waste_pusd: int  # what was lost with the worker included
    idle_pusd: int
    has_ended: bool

    @property
    def difference_pusd(self) -> int:
        """What is not accounted for: 0 once the worker has ended."""
        return self.paid_pusd - self.charged_pusd - self.waste_pusd - self.idle_pusd


def open_books(
    database: Database,
    *,
    worker_id: str,
    tier: str,
    host: str,
    price_per_hour_pusd: int,
    started_ms: int,
) -> None:
    """Begin a worker's life."""
    with database.write() as connection:
        connection.execute(
            insert(WorkerTime).values(
                worker_id=worker_id,
                tier=tier,
                host=host,
                price_per_hour_pusd=price_per_hour_pusd,
                started_ms=started_ms,
                seen_ms=started_ms,
                paid_pusd=0,
                charged_pusd=0,
                waste_pusd=0,
                idle_pusd=0,
            )
        )


def keep_books(database: Database, worker_id: str, spent: Spent, now_ms: int) -> None:
    """Write down a heartbeat."""
    _write(database, worker_id, {**of_the_living(spent), "seen_ms": now_ms})


def close_books(
    database: Database, worker_id: str, spent: Spent, now_ms: int, *, died: bool
) -> None:
    """Write down the end; ``died``: what was begun for requests that died with it is lost.

    That goes for all that nobody settled, also when only the ledger was away at the end.
    """
    values = {**of_the_living(spent), "seen_ms": now_ms, "ended_ms": now_ms}
    if died:
        values["lost_pusd"] = (
            spent.paid_pusd - spent.idle_pusd - WorkerTime.charged_pusd - WorkerTime.waste_pusd
        )
    _write(database, worker_id, values)


def close_silent(database: Database, seen_before_ms: int) -> int:
    """End the lives of workers that have not been seen; returns how many.

    Their time is paid up to their last word, and what they had begun is lost. One that was only
    frozen opens its books again with its next word.
    """
    remainder = (
        WorkerTime.paid_pusd
        - WorkerTime.idle_pusd
        - WorkerTime.charged_pusd
        - WorkerTime.waste_pusd
    )
    with database.write() as connection:
        return connection.execute(
            update(WorkerTime)
            .where(WorkerTime.ended_ms.is_(None), WorkerTime.seen_ms < seen_before_ms)
            .values(ended_ms=WorkerTime.seen_ms, lost_pusd=remainder)
        ).rowcount


def of_the_living(spent: Spent | None) -> dict[str, Any]:
    """Columns that a worker writes as long as it lives, whatever it writes.

    It may have been taken for dead. A word of the meter that was held up on its way must not
    overwrite a later one; None: it said nothing.
    """
    alive: dict[str, Any] = {"lost_pusd": 0, "ended_ms": None}
    if spent is None:
        return alive
    is_news = WorkerTime.paid_pusd < spent.paid_pusd
    return {
        "paid_pusd": case((is_news, spent.paid_pusd), else_=WorkerTime.paid_pusd),
        "idle_pusd": case((is_news, spent.idle_pusd), else_=WorkerTime.idle_pusd),
        **alive,
    }


def _write(database: Database, worker_id: str, values: dict[str, Any]) -> None:
    with database.write() as connection:
        connection.execute(
            update(WorkerTime).where(WorkerTime.worker_id == worker_id).values(**values)
        )


def read_books(database: Database) -> list[Books]:
    """The books of all workers, in the order in which they started."""
    query = select(
        WorkerTime.worker_id,
        WorkerTime.paid_pusd,
        WorkerTime.charged_pusd,
        WorkerTime.waste_pusd + WorkerTime.lost_pusd,
        WorkerTime.idle_pusd,
        WorkerTime.ended_ms.is_not(None),
    ).order_by(WorkerTime.started_ms)
    with database.read() as connection:
        return [Books(*row) for row in connection.execute(query)]
