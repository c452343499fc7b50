"""The books of a worker's life add up."""

from penstock_shared.ledger import settling, worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import WorkerTime
from penstock_shared.ledger.worker_time import Spent
from tests.examples import ACCOUNT, NOW, WORKER, accept_some, claim_some, rows, succeeded


def open_books(database: Database) -> None:
    worker_time.open_books(
        database, worker_id=WORKER, tier="small", host="here", price_per_hour_pusd=9, started_ms=NOW
    )


def test_a_new_worker_has_spent_nothing(database: Database) -> None:
    open_books(database)
    [row] = rows(database, WorkerTime)
    assert (row.started_ms, row.seen_ms, row.ended_ms) == (NOW, NOW, None)
    [books] = worker_time.read_books(database)
    assert books == (WORKER, 0, 0, 0, 0)


def test_a_heartbeat_writes_what_was_paid_and_what_was_idle(database: Database) -> None:
    open_books(database)
    worker_time.keep_books(database, WORKER, Spent(100, 40), NOW + 5)
    [row] = rows(database, WorkerTime)
    assert (row.paid_pusd, row.idle_pusd, row.seen_ms, row.ended_ms) == (100, 40, NOW + 5, None)


def test_charges_waste_and_idle_add_up_to_what_was_paid(database: Database) -> None:
    open_books(database)
    held = claim_some(database, accept_some(database, 2))
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=25) for claim in held], NOW)
    settling.book_waste(database, WORKER, 10)
    worker_time.close_books(database, WORKER, Spent(100, 40), NOW + 5, engine_died=False)
    [books] = worker_time.read_books(database)
    assert (books.charged_pusd, books.waste_pusd, books.idle_pusd) == (50, 10, 40)
    assert books.difference_pusd == 0
    assert rows(database, WorkerTime)[0].ended_ms == NOW + 5


def test_what_a_dead_engine_had_begun_is_waste(database: Database) -> None:
    open_books(database)
    [claim] = claim_some(database, accept_some(database))
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=25)], NOW)
    worker_time.close_books(database, WORKER, Spent(100, 40), NOW + 5, engine_died=True)
    [books] = worker_time.read_books(database)
    assert (books.charged_pusd, books.waste_pusd, books.difference_pusd) == (25, 35, 0)
