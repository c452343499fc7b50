"""Promise: the death of a worker loses nothing."""

import random
import signal
import time

from penstock_shared.ledger.schema import Job
from penstock_shared.words import AttemptOutcome, JobState
from tests.acceptance.promises.world import World

LOAD_S = 20.0
KILLS = 3  # at least
EVERY_S = 3.0
PAUSE_S = 0.25


def at_work(world: World) -> list[int]:
    """Workers that run and hold jobs."""
    holders = {row["worker_id"] for row in world.rows(Job) if row["state"] == JobState.RUNNING}
    numbers = range(len(world.stack.workers))
    return [number for number in numbers if world.stack.worker_id(number) in holders - {None}]


def test_under_load_random_workers_are_killed_and_every_job_is_charged_once(world: World) -> None:
    dice = random.Random(20_260)
    ids: list[str] = []
    killed = 0
    end = time.monotonic() + LOAD_S
    next_kill = time.monotonic() + EVERY_S
    while time.monotonic() < end or killed < KILLS:
        ids += world.submit(5, tokens=dice.choice([40, 200]))
        world.stack.tend()
        if time.monotonic() > next_kill and (busy := at_work(world)):
            world.signal(dice.choice(busy), signal.SIGKILL)
            killed += 1
            next_kill += EVERY_S
        time.sleep(PAUSE_S)
    world.all_succeed(ids)
    assert world.outcomes(ids)[AttemptOutcome.LOST] > 0  # there were jobs in what was killed


def test_messages_on_their_way_to_a_worker_that_is_killed_are_not_lost(world: World) -> None:
    """Between Redis' list and kombu's list of what was taken, a message is in no key."""
    workers = range(len(world.stack.workers))
    ids: list[str] = []

    def some_are_on_their_way() -> bool:
        for worker in workers:
            world.signal(worker, signal.SIGSTOP)
        ids.extend(world.submit(len(workers)))
        if world.waiting() + world.taken() < len(workers):
            return True
        for worker in workers:  # nobody was waiting for a message at this moment
            world.signal(worker, signal.SIGCONT)
        world.all_succeed(ids)
        return False

    world.wait(some_are_on_their_way)
    for worker in workers:
        world.signal(worker, signal.SIGKILL)
    world.all_succeed(ids)
    assert world.attempts(ids) == {1}
