"""What ends unasked is started again, later each time, and says anew when it is ready."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from penstock_shared.stack import stack as stack_module
from penstock_shared.stack.processes import Child
from penstock_shared.stack.stack import Supervised
from tests.examples import Clock


class EndsAtOnce(Child):
    """Never runs; the moments at which it was started are kept."""

    def __init__(self, clock: Clock, log: Path) -> None:
        super().__init__("short-lived", [], log=log, environment={})
        self.starts: list[float] = []
        self._clock = clock

    def start(self) -> None:
        self.starts.append(self._clock.now)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Child]:
    """A child that runs until it is stopped."""
    environment = {"PATH": os.environ["PATH"]}
    child = Child("sleeper", ["sleep", "600"], log=tmp_path / "log", environment=environment)
    yield child
    child.stop(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The supervisor's time."""
    clock = Clock(1000.0)
    monkeypatch.setattr(stack_module, "time", SimpleNamespace(monotonic=clock))
    return clock


def test_what_ends_unasked_is_started_again_later_each_time(clock: Clock, tmp_path: Path) -> None:
    child = EndsAtOnce(clock, tmp_path / "log")
    supervised = Supervised(child)
    supervised.start()
    ended = 0
    while len(child.starts) < 8:
        ended += supervised.tend()
        clock.now += 0.5
    pauses = [later - sooner for sooner, later in zip(child.starts, child.starts[1:], strict=False)]
    assert [round(pause) for pause in pauses] == sorted(round(pause) for pause in pauses)
    assert pauses[0] < 2
    assert 29 < pauses[-1] < 32
    assert pauses[-1] == pauses[-2]
    assert (ended, supervised.restarts) == (7, 7)


def test_what_runs_is_left_alone(sleeper: Child, clock: Clock) -> None:
    supervised = Supervised(sleeper)
    supervised.start()
    pid = supervised.child.pid
    for _ in range(3):
        assert not supervised.tend()
        clock.now += 100
    assert (supervised.child.pid, supervised.restarts) == (pid, 0)


def test_a_child_is_ready_when_it_says_so_and_has_to_say_it_again_after_a_restart(
    sleeper: Child, clock: Clock, tmp_path: Path
) -> None:
    ready = tmp_path / "small.ready"
    ready.touch()
    supervised = Supervised(sleeper, ready)
    supervised.start()
    assert not supervised.is_ready
    ready.touch()
    assert supervised.is_ready
    supervised.child.stop(0)
    assert not supervised.is_ready
    assert supervised.tend()
    clock.now += 1
    assert not supervised.tend()
    assert supervised.child.is_running
    assert not supervised.is_ready


def test_a_child_that_ran_for_long_is_started_again_as_soon_as_at_first(
    clock: Clock, tmp_path: Path
) -> None:
    child = EndsAtOnce(clock, tmp_path / "log")
    supervised = Supervised(child)
    supervised.start()
    while len(child.starts) < 5:
        supervised.tend()
        clock.now += 0.5
    clock.now += 120
    supervised.tend()
    clock.now += 1
    supervised.tend()
    assert child.starts[-1] == clock.now
