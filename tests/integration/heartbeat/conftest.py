"""A heartbeat on a ledger that can be away, its own time in the hands of the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from penstock_shared.errors import LedgerUnavailable
from penstock_shared.ledger.database import Database
from penstock_workers import heartbeat as heartbeat_module
from penstock_workers.heartbeat import Heartbeat, Life
from tests.examples import LEASE, WORKER, Clock
from tests.rig import BOUND_S, Rig


class OutageLedger(Database):
    """A ledger that can be away."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_away = False
        self.refused = 0

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._refuse_if_away()
        with super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._refuse_if_away()
        with super().write() as connection:
            yield connection

    def _refuse_if_away(self) -> None:
        if self.is_away:
            self.refused += 1
            raise LedgerUnavailable("away")


@pytest.fixture
def database(ledger_url: str) -> Iterator[OutageLedger]:
    """In place of the common one: a ledger that can be away."""
    opened = OutageLedger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The heartbeat's own time, standing; it ticks as fast as the machine can."""
    clock = Clock(0)
    monkeypatch.setattr(heartbeat_module, "_TICK_S", 0.001)
    return clock


@pytest.fixture
def rig(database: OutageLedger) -> Rig:
    return Rig(database)


@pytest.fixture
def health_file(tmp_path: Path) -> Path:
    return tmp_path / "small-1.json"


@pytest.fixture
def heart(rig: Rig, health_file: Path, monotonic: Clock) -> Heartbeat:
    life = Life(WORKER, LEASE, "small", heartbeat_s=0, health_file=health_file)
    return Heartbeat(
        life,
        database=rig.database,
        cache=rig.cache,
        held=rig.held,
        flights=rig.flights,
        engine=rig.engine,
        settlements=rig.settlements,
        shadows=rig.shadows,
        now_ms=rig.clock,
        clock=monotonic,
    )


@pytest.fixture
def beating(heart: Heartbeat) -> Iterator[threading.Thread]:
    """The heartbeat's thread; it has to end when it is told to."""
    thread = threading.Thread(target=heart.run)
    thread.start()
    yield thread
    heart.stop()
    thread.join(BOUND_S)
    assert not thread.is_alive()
