"""The books of a worker's life add up."""

from penstock_shared.ledger import settling, worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import WorkerTime
from penstock_shared.ledger.worker_time import Spent
from tests.examples import ACCOUNT, NOW, WORKER, accept_some, claim_some, rows, succeeded


def open_books(database: Database, price_per_hour_pusd: int = 9) -> None:
    worker_time.open_books(
        database,
        worker_id=WORKER,
        tier="small",
        host="here",
        price_per_hour_pusd=price_per_hour_pusd,
        started_ms=NOW,
    )


def test_a_new_worker_has_spent_nothing(database: Database) -> None:
    open_books(database)
    [row] = rows(database, WorkerTime)
    assert (row.started_ms, row.seen_ms, row.ended_ms) == (NOW, NOW, None)
    [books] = worker_time.read_books(database)
    assert books == (WORKER, 0, 0, 0, 0, False)


def test_a_heartbeat_writes_what_was_paid_and_what_was_idle(database: Database) -> None:
    open_books(database)
    worker_time.keep_books(database, WORKER, Spent(100, 40), NOW + 5)
    [row] = rows(database, WorkerTime)
    assert (row.paid_pusd, row.idle_pusd, row.seen_ms, row.ended_ms) == (100, 40, NOW + 5, None)


def test_charges_waste_and_idle_add_up_to_what_was_paid(database: Database) -> None:
    open_books(database)
    held = claim_some(database, accept_some(database, 2))
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=25) for claim in held], NOW)
    worker_time.close_books(database, WORKER, Spent(100, 40, 10), NOW + 5, died=False)
    [books] = worker_time.read_books(database)
    assert (books.charged_pusd, books.waste_pusd, books.idle_pusd) == (50, 10, 40)
    assert books.difference_pusd == 0
    assert rows(database, WorkerTime)[0].ended_ms == NOW + 5


def test_what_a_dead_engine_had_begun_is_waste(database: Database) -> None:
    open_books(database)
    [claim] = claim_some(database, accept_some(database))
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=25)], NOW)
    worker_time.close_books(database, WORKER, Spent(100, 40), NOW + 5, died=True)
    [books] = worker_time.read_books(database)
    assert (books.charged_pusd, books.waste_pusd, books.difference_pusd) == (25, 35, 0)


def test_a_worker_that_fell_silent_is_paid_up_to_its_last_word(database: Database) -> None:
    open_books(database)
    [claim] = claim_some(database, accept_some(database))
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=25)], NOW, spent=Spent(100, 40))
    worker_time.keep_books(database, WORKER, Spent(110, 45), NOW + 5)
    assert worker_time.close_silent(database, NOW + 5) == 0
    assert worker_time.close_silent(database, NOW + 6) == 1
    [books] = worker_time.read_books(database)
    assert (books.paid_pusd, books.waste_pusd, books.difference_pusd) == (110, 40, 0)
    assert books.has_ended
    assert rows(database, WorkerTime)[0].ended_ms == NOW + 5


def test_a_worker_that_wakes_up_again_opens_its_books_again(database: Database) -> None:
    open_books(database)
    [claim] = claim_some(database, accept_some(database))
    worker_time.keep_books(database, WORKER, Spent(100, 40), NOW)
    worker_time.close_silent(database, NOW + 1)
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=60)], NOW, spent=Spent(200, 140))
    [books] = worker_time.read_books(database)
    assert (books.charged_pusd, books.waste_pusd, books.has_ended) == (60, 0, False)
    worker_time.close_books(database, WORKER, Spent(200, 140), NOW, died=False)
    assert worker_time.read_books(database)[0].difference_pusd == 0


def test_what_was_assumed_of_a_worker_that_was_taken_for_dead_does_not_stay(
    database: Database,
) -> None:
    open_books(database, price_per_hour_pusd=3_600_000)  # one picodollar a millisecond
    [claim] = claim_some(database, accept_some(database))
    worker_time.keep_books(database, WORKER, Spent(1, 0), NOW + 5)  # in a step that is not metered
    worker_time.close_silent(database, NOW + 6)
    assert worker_time.read_books(database)[0].waste_pusd == 5
    settling.give_back(database, ACCOUNT, [claim], 1, NOW + 6, spent=Spent(1, 0))
    worker_time.close_books(database, WORKER, Spent(1, 0), NOW + 6, died=False)
    [books] = worker_time.read_books(database)
    assert (books.paid_pusd, books.waste_pusd, books.idle_pusd) == (6, 1, 5)
    assert books.difference_pusd == 0


def test_a_settlement_carries_the_meters_word_so_that_the_books_are_never_behind(
    database: Database,
) -> None:
    open_books(database)
    [claim] = claim_some(database, accept_some(database))
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=60)], NOW, spent=Spent(100, 40))
    [books] = worker_time.read_books(database)
    assert (books.paid_pusd, books.idle_pusd, books.difference_pusd) == (100, 40, 0)


def test_what_is_settled_twice_is_booked_once(database: Database) -> None:
    """The connection may break after the commit: nobody knows, and it is tried again."""
    open_books(database)
    held = claim_some(database, accept_some(database, 2))
    settlements = [succeeded(claim, cost_pusd=25) for claim in held]
    for _ in range(2):
        settled = settling.settle(database, ACCOUNT, settlements, NOW)
        assert settled == {claim.job_id for claim in held}
    [books] = worker_time.read_books(database)
    assert (books.charged_pusd, books.waste_pusd) == (50, 0)


def test_what_is_given_back_twice_is_booked_once(database: Database) -> None:
    open_books(database)
    held = claim_some(database, accept_some(database, 2))
    for _ in range(2):
        settling.give_back(database, ACCOUNT, held, 9, NOW)
    assert worker_time.read_books(database)[0].waste_pusd == 9


def test_waste_that_belongs_to_no_job_is_booked_once_however_often_it_is_written(
    database: Database,
) -> None:
    """The connection may break after the commit, and nobody knows."""
    open_books(database)
    for spent in (Spent(50, 43, 7), Spent(100, 85, 15), Spent(100, 85, 15)):
        worker_time.keep_books(database, WORKER, spent, NOW)
    [claim] = claim_some(database, accept_some(database))
    last = Spent(160, 85, 15)
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=60)], NOW, spent=last)
    worker_time.close_books(database, WORKER, last, NOW, died=False)
    [books] = worker_time.read_books(database)
    assert (books.charged_pusd, books.waste_pusd, books.difference_pusd) == (60, 15, 0)


def test_waste_that_belongs_to_no_job_outlasts_that_its_worker_was_taken_for_dead(
    database: Database,
) -> None:
    open_books(database)
    worker_time.keep_books(database, WORKER, Spent(100, 60, 15), NOW)
    worker_time.close_silent(database, NOW + 1)
    assert worker_time.read_books(database)[0].waste_pusd == 40
    worker_time.keep_books(database, WORKER, Spent(200, 160, 15), NOW)
    assert worker_time.read_books(database)[0].waste_pusd == 15


def test_an_old_word_of_the_meter_does_not_overwrite_a_later_one(database: Database) -> None:
    open_books(database)
    [claim] = claim_some(database, accept_some(database))
    settling.settle(database, ACCOUNT, [succeeded(claim, cost_pusd=60)], NOW, spent=Spent(100, 40))
    worker_time.keep_books(database, WORKER, Spent(50, 40), NOW)
    worker_time.close_silent(database, NOW + 1)
    [books] = worker_time.read_books(database)
    assert (books.paid_pusd, books.idle_pusd, books.waste_pusd) == (100, 40, 0)
