"""Promise: a long job runs once, and a second time soon after its worker's death."""

import json
import signal

import pytest

from tests.acceptance.promises.conftest import Worlds
from tests.acceptance.promises.world import World, once_each

VISIBILITY_S = 2.0
TOKENS = 4_040  # at least ten times as long, at 5 ms each
WORKERS = 2


@pytest.fixture(scope="module")
def world(worlds: Worlds) -> World:
    return worlds.make(WORKERS, switches={"visibility": VISIBILITY_S})


def held_messages(world: World) -> dict[str, tuple[float, bool]]:
    """Messages that workers hold: when each was last seen, and whether it came repeatedly."""
    with world.redis() as redis:
        pipe = redis.pipeline(transaction=True)
        pipe.hgetall("penstock.unacked")
        pipe.zrange("penstock.unacked_index", 0, -1, withscores=True)
        taken, seen = pipe.execute()
    scores = dict(seen)
    return {
        tag: (scores[tag], json.loads(text)[0].get("headers", {}).get("redelivered", False))
        for tag, text in taken.items()
        if tag in scores
    }


def test_a_job_of_ten_times_the_visibility_timeout_is_delivered_and_run_once(world: World) -> None:
    ids = world.submit(tokens=TOKENS)
    world.wait(lambda: world.begun(ids))
    [(tag, (first, _))] = held_messages(world).items()
    last = first

    def has_finished() -> bool:
        nonlocal last
        messages = held_messages(world)
        if world.finished(ids):
            return True
        [(held, (last, redelivered))] = messages.items()
        assert held == tag
        assert not redelivered
        return False

    world.wait(has_finished)
    [begun], [finished] = (world.runs(ids, finished=ended) for ended in (False, True))
    assert finished["at_ms"] - begun["at_ms"] > 10_000 * VISIBILITY_S
    assert last > first + 8 * VISIBILITY_S  # it was renewed all the time
    world.all_succeed(ids)
    assert world.begun(ids) == once_each(ids)
    assert world.attempts(ids) == {1}
    world.wait(lambda: not held_messages(world))
    assert world.waiting() == 0


def test_a_long_job_whose_worker_is_killed_runs_again_and_is_charged_once(world: World) -> None:
    ids = world.submit(tokens=1_500)
    world.wait(lambda: world.begun(ids))
    names = {world.stack.worker_id(number): number for number in range(WORKERS)}
    [holder] = [number for name, number in names.items() if world.running_at(name)]
    world.signal(holder, signal.SIGKILL)
    world.wait(lambda: world.begun(ids)[ids[0]] == 2)
    found = world.all_succeed(ids)
    assert [result.attempts for result in found.values()] == [1]  # its worker vanished once
    assert world.outcomes(ids) == {"lost": 1, "succeeded": 1}
