"""The books of a worker that loads are kept, and closed when it cannot be loaded."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from penstock_shared.errors import EngineError, LedgerUnavailable
from penstock_shared.ledger import worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import WorkerTime
from penstock_shared.ledger.worker_time import Books, Spent
from penstock_workers.loading import Loading
from penstock_workers.worker import Worker
from tests.examples import NOW, WORKER, Clock, open_books, rows
from tests.rig import eventually


class LoadingEngine:
    """Is loaded when its test says so; its time is idle meanwhile."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.wait = wait
        self.spent = Spent(100, 100)
        self.is_closed = False

    def wait_ready(self, **_: object) -> None:
        self.wait()

    def pulse(self) -> Any:
        return SimpleNamespace(spent=self.spent)

    def close(self) -> None:
        self.spent = Spent(150, 150)
        self.is_closed = True


def loading(database: Database, engine: Any, *, every_s: float = 0.01) -> Loading:
    open_books(database)
    clock = Clock(NOW + 9)
    return Loading(WORKER, database=database, engine=engine, every_s=every_s, now_ms=clock)


def the_books(database: Database) -> Books:
    [books] = worker_time.read_books(database)
    return books


def test_every_beat_of_a_worker_that_loads_pays_for_it(database: Database) -> None:
    engine = LoadingEngine(lambda: None)
    with loading(database, engine):
        eventually(lambda: the_books(database).paid_pusd == 100)
        engine.spent = Spent(200, 200)
        eventually(lambda: the_books(database).paid_pusd == 200)
    [row] = rows(database, WorkerTime)
    assert (row.idle_pusd, row.seen_ms, row.ended_ms) == (200, NOW + 9, None)
    assert not engine.is_closed


def test_a_worker_that_cannot_be_loaded_has_paid_for_its_time_and_ends(
    database: Database,
) -> None:
    def fail() -> None:
        raise EngineError("no memory")

    engine = LoadingEngine(fail)
    parts: Any = SimpleNamespace(
        engine=engine,
        loading=loading(database, engine, every_s=600),
        settlements=SimpleNamespace(add_completions=None),
    )
    with pytest.raises(EngineError, match="no memory"):
        Worker(parts).run(on_ready=lambda: None)
    assert engine.is_closed
    [row] = rows(database, WorkerTime)
    assert (row.paid_pusd, row.idle_pusd, row.lost_pusd, row.ended_ms) == (150, 150, 0, NOW + 9)


def test_a_ledger_that_is_away_keeps_nothing_from_loading(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = worker_time.keep_books
    answers: list[Exception] = [LedgerUnavailable("away"), ZeroDivisionError()]

    def keep(*args: Any) -> None:
        if answers:
            raise answers.pop(0)
        kept(*args)

    monkeypatch.setattr(worker_time, "keep_books", keep)
    with loading(database, LoadingEngine(lambda: None)):
        eventually(lambda: the_books(database).paid_pusd == 100)
