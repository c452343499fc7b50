"""The books of a worker's life: every second is paid, and is charge, waste or idle."""

from typing import Any, NamedTuple

from sqlalchemy import insert, select, update

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
    waste_pusd: int
    idle_pusd: int

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
    _write(database, worker_id, spent, {"seen_ms": now_ms})


def close_books(
    database: Database, worker_id: str, spent: Spent, now_ms: int, *, engine_died: bool
) -> None:
    """Write down the end. What a dead engine had begun for requests that it took along is waste."""
    values: dict[str, Any] = {"seen_ms": now_ms, "ended_ms": now_ms}
    if engine_died:
        values["waste_pusd"] = spent.paid_pusd - spent.idle_pusd - WorkerTime.charged_pusd
    _write(database, worker_id, spent, values)


def _write(database: Database, worker_id: str, spent: Spent, values: dict[str, Any]) -> None:
    with database.write() as connection:
        connection.execute(
            update(WorkerTime)
            .where(WorkerTime.worker_id == worker_id)
            .values(paid_pusd=spent.paid_pusd, idle_pusd=spent.idle_pusd, **values)
        )


def read_books(database: Database) -> list[Books]:
    """The books of all workers, in the order in which they started."""
    query = select(
        WorkerTime.worker_id,
        WorkerTime.paid_pusd,
        WorkerTime.charged_pusd,
        WorkerTime.waste_pusd,
        WorkerTime.idle_pusd,
    ).order_by(WorkerTime.started_ms)
    with database.read() as connection:
        return [Books(*row) for row in connection.execute(query)]
