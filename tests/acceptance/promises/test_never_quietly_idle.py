"""Promise: a worker is never alive and idle while jobs wait for it."""

import json
from collections import Counter

import pytest

from tests.acceptance.promises.conftest import Worlds
from tests.acceptance.promises.world import World

WORKERS = 2
SEQUENCES = 4
BATCH = 2
CONCURRENCY = SEQUENCES + 2 * BATCH  # threads that wait for a job each
FAILURES = 2 * CONCURRENCY


@pytest.fixture(scope="module")
def world(worlds: Worlds) -> World:
    return worlds.make(WORKERS, max_num_seqs=SEQUENCES, max_batch_size=BATCH)


def failures(world: World, kind: str) -> Counter[int]:
    """How often the workers that live now have failed in this way."""
    file = world.stack.home.parent / "failures.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    alive = {world.stack.worker_pid(number) for number in range(WORKERS)}
    return Counter(x["pid"] for x in lines if x["kind"] == kind and x["pid"] in alive)


def probed(world: World, ids: list[str]) -> set[str]:
    """Workers that have succeeded with one of these jobs."""
    return {r["worker_id"] for r in world.settled(ids)[1] if r["outcome"] == "succeeded"}


@pytest.mark.parametrize("kind", ["backend", "body"])
def test_every_worker_serves_on_after_more_failures_than_it_has_threads(
    world: World, kind: str
) -> None:
    pids = {world.stack.worker_pid(number) for number in range(WORKERS)}
    names = world.names()
    world.switch_on(kind, FAILURES)
    ids: list[str] = []

    def all_failed() -> bool:
        if world.waiting() == 0:
            ids.extend(world.submit(2 * WORKERS))
        found = failures(world, kind)
        return len(found) == WORKERS and set(found.values()) == {FAILURES}

    world.wait(all_failed)
    probes: list[str] = []

    def all_serve() -> bool:
        if world.waiting() == 0:
            probes.extend(world.submit(2 * WORKERS))
        return probed(world, probes) == names

    world.wait(all_serve)
    world.all_succeed([*ids, *probes])
    assert pids == {world.stack.worker_pid(number) for number in range(WORKERS)}
    assert world.attempts(ids) == {1}


def test_a_worker_whose_admission_breaks_ends_instead_of_living_on(world: World) -> None:
    before = {number: world.stack.worker_pid(number) for number in range(WORKERS)}
    world.switch_on("admission")
    ids = world.submit(3 * CONCURRENCY)
    ended: list[int] = []

    def one_ended() -> bool:
        ended[:] = [n for n in before if world.stack.worker_pid(n) != before[n]]
        return bool(ended)

    world.wait(one_ended, tend=False)
    [worker] = ended
    assert "the worker's thread admission broke (CancelledError)" in world.log(worker)
    world.all_succeed(ids)
    assert world.attempts(ids) == {1}
    world.wait_ready()
    probes: list[str] = []

    def all_serve() -> bool:
        probes.extend(world.submit(2 * WORKERS))
        world.all_succeed(probes)
        return len(probed(world, probes)) == WORKERS

    world.wait(all_serve)
