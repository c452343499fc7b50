"""The audit knows how long a worker lived, and that every second of it was paid."""

import pytest
from sqlalchemy import update

from penstock_shared.ledger import auditing, worker_time
from penstock_shared.ledger.auditing import Window
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import WorkerTime
from penstock_shared.ledger.worker_time import Spent
from tests.examples import NOW, WORKER

HOUR = 3_600_000


def a_life(database: Database) -> None:
    worker_time.open_books(
        database,
        worker_id=WORKER,
        tier="small",
        host="here",
        price_per_hour_pusd=100,
        started_ms=NOW,
    )


@pytest.mark.parametrize("died", [True, False])
def test_the_seconds_of_a_worker_that_only_loaded_are_idle(database: Database, died: bool) -> None:
    """Whether it was killed, or could not load and said so."""
    a_life(database)
    if died:
        worker_time.keep_books(database, WORKER, Spent(98, 98), NOW + HOUR)
        worker_time.close_silent(database, NOW + 2 * HOUR)
    else:
        worker_time.close_books(database, WORKER, Spent(98, 98), NOW + HOUR, died=False)
    audit = auditing.audit(database, Window(), silent_before_ms=NOW)
    assert [(life.paid_pusd, life.idle_pusd) for life in audit.lives] == [(100, 100)]
    assert audit.problems == []


@pytest.mark.parametrize("paid", [0, 50, 150])
def test_seconds_that_are_in_no_book_are_found(database: Database, paid: int) -> None:
    a_life(database)
    worker_time.close_books(database, WORKER, Spent(100, 100), NOW + HOUR, died=False)
    assert auditing.audit(database, Window(), silent_before_ms=NOW).problems == []
    with database.write() as connection:
        connection.execute(update(WorkerTime).values(paid_pusd=paid, idle_pusd=paid))
    assert auditing.audit(database, Window(), silent_before_ms=NOW).problems == [
        f"{WORKER}: it lived for 3600.0 s, which cost 100 picodollars, and its books have {paid}; "
        "seconds are missing, or its clock was set"
    ]
