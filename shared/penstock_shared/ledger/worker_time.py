"""The books of a worker's life: every second is paid, and is charge, waste or idle."""

from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, case, insert, select, update

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import WorkerTime
from penstock_shared.money import cost_of

_CLOCK_MS: Final = 5_000  # by so much, and by one part in so many, clocks may differ in a life
_CLOCK_PART: Final = 1_000


class Spent(NamedTuple):
    """What a worker knows of its time since it started, in picodollars.

    These are sums, so that it does no harm to write one twice.
    """

    paid_pusd: int
    idle_pusd: int
    wasted_pusd: int = 0  # on what is no attempt of a job


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
    with database.write() as connection:
        connection.execute(
            update(WorkerTime)
            .where(WorkerTime.worker_id == worker_id)
            .values(**of_the_living(spent, now_ms))
        )


def close_books(
    database: Database, worker_id: str, spent: Spent, now_ms: int, *, died: bool
) -> None:
    """Write down the end; ``died``: what was begun for requests that died with it is lost.

    That goes for all that nobody settled, also when only the ledger was away at the end.
    """
    mine = WorkerTime.worker_id == worker_id
    with database.write() as connection:
        connection.execute(update(WorkerTime).where(mine).values(**of_the_living(spent, now_ms)))
        _close(connection, mine, died=died)


def close_silent(database: Database, seen_before_ms: int) -> int:
    """End the lives of workers that have not been seen; returns how many.

    Their time is paid up to their last word, and what they had begun is lost. One that was only
    frozen opens its books again with its next word.
    """
    is_silent = WorkerTime.ended_ms.is_(None) & (WorkerTime.seen_ms < seen_before_ms)
    with database.write() as connection:
        return _close(connection, is_silent, died=True)


def _close(connection: Connection, which: ColumnElement[bool], *, died: bool) -> int:
    query = select(*WorkerTime.__table__.columns).where(which).order_by(WorkerTime.worker_id)
    found = connection.execute(query.with_for_update()).all()
    for books in found:
        mine = WorkerTime.worker_id == books.worker_id
        end = at_its_end(books, died=died)
        connection.execute(update(WorkerTime).where(mine).values(ended_ms=books.seen_ms, **end))
    return len(found)


def at_its_end(books: Row[Any], *, died: bool) -> dict[str, int]:
    """The sums of a life that ended when it was last seen: every second of it is paid.

    Seconds of which the meter has not told belong to what the worker had begun, when it died in the
    middle of it; else they were idle.
    """
    due = _price_of(books.price_per_hour_pusd, books.seen_ms - books.started_ms)
    more = max(0, due - books.paid_pusd)
    idle, lost = books.idle_pusd, books.lost_pusd
    begun = books.paid_pusd - books.charged_pusd - books.waste_pusd - lost - idle
    if died and begun:
        lost += begun + more
    else:
        idle += more
    return {"paid_pusd": books.paid_pusd + more, "idle_pusd": idle, "lost_pusd": lost}


def unpaid(price_per_hour_pusd: int, lived_ms: int, paid_pusd: int) -> int:
    """Picodollars that were paid too little, or if negative too much; 0 within what clocks err."""
    missing = _price_of(price_per_hour_pusd, lived_ms) - paid_pusd
    error_ms = _CLOCK_MS + lived_ms // _CLOCK_PART
    return missing if abs(missing) > _price_of(price_per_hour_pusd, error_ms) else 0


def _price_of(price_per_hour_pusd: int, milliseconds: int) -> int:
    return cost_of(price_per_hour_pusd, milliseconds * 1_000_000)


def of_the_living(spent: Spent | None, now_ms: int) -> dict[str, Any]:
    """Columns that a worker writes as long as it lives, whatever it writes.

    A word of the meter that was held up on its way must not overwrite a later one; None: it said
    nothing. If the worker was taken for dead, what the end of its books assumed holds no more.
    """
    books = WorkerTime
    alive = {
        "ended_ms": None,
        "seen_ms": case((books.seen_ms < now_ms, now_ms), else_=books.seen_ms),
    }
    if spent is None:
        return {**alive, "lost_pusd": 0}
    was_closed = books.ended_ms.is_not(None)
    is_news = was_closed | (books.paid_pusd < spent.paid_pusd)
    is_more = was_closed | (books.lost_pusd < spent.wasted_pusd)
    return {
        **alive,
        "paid_pusd": case((is_news, spent.paid_pusd), else_=books.paid_pusd),
        "idle_pusd": case((is_news, spent.idle_pusd), else_=books.idle_pusd),
        "lost_pusd": case((is_more, spent.wasted_pusd), else_=books.lost_pusd),
    }


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
