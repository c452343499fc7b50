"""The worker's end of an engine: it hears of its death, and pays for every second of it."""

import queue
import time
from collections.abc import Callable, Iterator

import pytest

from penstock_shared.errors import EngineError
from penstock_shared.ledger.worker_time import Spent
from penstock_shared.request import Sampling
from penstock_workers.engine import process
from penstock_workers.engine.process import EngineProcess
from penstock_workers.engine.protocol import EngineConfig, EngineRequest
from tests.hosts import HOST, LIMITS
from tests.rig import BOUND_S, eventually

A_NANOSECOND = 3600 * 10**9  # picodollars an hour, so that each costs one


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., EngineProcess]]:
    """Start an engine that goes wrong in a way; nobody waits long for its end."""
    monkeypatch.setattr(process, "_CLOSE_S", 0.1)
    started: list[EngineProcess] = []

    def begin(model: str, *, max_silence_s: float = 600) -> EngineProcess:
        config = EngineConfig(model, A_NANOSECOND, time.monotonic_ns(), {}, {}, ())
        started.append(EngineProcess(config, host=HOST, max_silence_s=max_silence_s))
        return started[-1]

    yield begin
    for engine in started:
        engine.close()


@pytest.fixture
def deaths() -> "queue.SimpleQueue[str]":
    return queue.SimpleQueue()


def wait_ready(engine: EngineProcess, deaths: "queue.SimpleQueue[str]") -> None:
    """Until its meter has spoken, too."""
    engine.wait_ready(on_completions=list, on_death=deaths.put)
    eventually(lambda: engine.pulse().steps == 1 or not deaths.empty())


def used(engine: EngineProcess) -> int:
    spent = engine.pulse().spent
    return spent.paid_pusd - spent.idle_pusd


def test_loading_is_idle_and_is_paid(start: Callable[..., EngineProcess]) -> None:
    engine = start("loads")
    first, second = engine.pulse().spent, engine.pulse().spent
    assert 0 < first.paid_pusd < second.paid_pusd
    assert first.paid_pusd == first.idle_pusd
    with pytest.raises(EngineError, match="still loading"):
        _ = engine.limits


def test_an_engine_that_still_loads_is_not_waited_for(
    start: Callable[..., EngineProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_CLOSE_S", None)  # for ever
    start("loads").close()


def test_what_an_engine_that_could_not_load_cost_is_idle(
    start: Callable[..., EngineProcess], deaths: "queue.SimpleQueue[str]"
) -> None:
    engine = start("fails")
    with pytest.raises(EngineError, match="no memory"):
        wait_ready(engine, deaths)
    assert engine.pulse().spent.paid_pusd > 0
    assert used(engine) == 0


def test_once_it_runs_its_meter_counts(
    start: Callable[..., EngineProcess], deaths: "queue.SimpleQueue[str]"
) -> None:
    engine = start("hangs")
    wait_ready(engine, deaths)
    assert engine.limits == LIMITS
    for cost in (10, 20):
        engine.write_off(cost)
    assert engine.pulse().spent == Spent(7, 3, wasted_pusd=30)


def test_an_engine_that_lets_go_of_its_pipe_and_hangs_is_dead(
    start: Callable[..., EngineProcess], deaths: "queue.SimpleQueue[str]"
) -> None:
    wait_ready(start("lets go"), deaths)
    assert deaths.get(timeout=BOUND_S) == "the engine died (exit -9): it left no words"


def test_an_engine_that_says_nothing_for_too_long_is_killed(
    start: Callable[..., EngineProcess], deaths: "queue.SimpleQueue[str]"
) -> None:
    wait_ready(start("hangs", max_silence_s=1), deaths)
    reason = deaths.get(timeout=BOUND_S)
    assert reason == "the engine died (exit -9): it had said nothing for 1 s"


@pytest.mark.parametrize("is_busy", [False, True])
def test_what_a_dead_engine_worked_on_is_used_and_the_time_after_its_death_is_idle(
    start: Callable[..., EngineProcess], deaths: "queue.SimpleQueue[str]", is_busy: bool
) -> None:
    engine = start("dies" if is_busy else "lets go")
    wait_ready(engine, deaths)
    if is_busy:
        engine.submit([EngineRequest("a", (1,), Sampling(), "salt")])
    deaths.get(timeout=BOUND_S)
    first, begun = engine.pulse(), used(engine)
    assert first.running == is_busy
    assert begun > 4 if is_busy else begun == 4  # the meter's last word
    second = engine.pulse()
    assert second.spent.paid_pusd > first.spent.paid_pusd
    assert used(engine) == begun
