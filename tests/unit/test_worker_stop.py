"""The end of a worker has a bound, also when its threads wait for a ledger that is away."""

from types import SimpleNamespace
from typing import Any

import pytest

from penstock_workers import worker
from penstock_workers.worker import Worker
from tests.examples import Clock


class StuckThread:
    """Does not end, however long it is waited for."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock

    def join(self, timeout: float) -> None:
        self._clock.now += timeout


class Anything:
    """Takes any call, and writes its name down."""

    def __init__(self, name: str, called: list[str]) -> None:
        self._name = name
        self._called = called

    def __getattr__(self, method: str) -> Any:
        return lambda *_, **__: self._called.append(f"{self._name}.{method}")


def test_all_threads_together_are_waited_for_as_long_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, called = Clock(1000.0), list[str]()
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(Worker, "_last_words", lambda _: called.append("last words"))
    names = ("intake", "embeddings", "settlements", "sweeper", "keeper", "trials", "heartbeat")
    parts: Any = SimpleNamespace(
        **{name: Anything(name, called) for name in (*names, "patience", "database")}
    )
    running = ("admission", "settlement", "embeddings", "trials", "heartbeat", "sweeper", "keeper")
    threads: Any = [StuckThread(name, clock) for name in running]
    Worker(parts)._stop(threads)
    assert clock.now - 1000 == worker._JOIN_S + worker._SETTLE_S
    assert called[-4:] == ["patience.give_up", "heartbeat.stop", "last words", "database.close"]
