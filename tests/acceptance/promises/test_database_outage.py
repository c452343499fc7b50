"""Promise: an outage of the database or of the broker costs time and nothing else."""

import time

from tests.acceptance.promises.world import WAIT_S, World, once_each

OUTAGE_S = 20.0
JOBS = 150  # more than the engines hold at once


def test_what_is_generated_while_the_database_is_away_is_kept_and_settled_later(
    world: World,
) -> None:
    server = world.stack.postgres
    assert server is not None
    workers = world.pids()
    ids = world.submit(JOBS, tokens=300)
    world.wait(lambda: len(world.begun(ids)) > JOBS // 3)
    inside = list(world.begun(ids))
    world.stack.hold_down("postgres")
    server.stop()
    assert world.stack.settings.worker.lease_s * 3 < OUTAGE_S
    time.sleep(OUTAGE_S)
    # None of these can be written down.
    world.wait(lambda: set(inside) <= set(world.finished(ids)))
    world.stack.let_up("postgres")
    world.all_succeed(ids)
    assert world.attempts(ids) == {1}
    assert world.begun(ids) == once_each(ids)
    assert world.pids() == workers


def test_jobs_are_accepted_without_the_broker_and_workers_come_back_by_themselves(
    world: World,
) -> None:
    workers = world.pids()
    running = world.submit(30, tokens=400)
    world.wait(lambda: len(world.begun(running)) == len(running))
    world.stack.hold_down("redis")
    world.stack.redis.child.kill()
    job = world.client.submit("drill 999999 tokens=40", max_tokens=40)
    assert not job.published
    accepted = world.submit(20)
    world.wait(lambda: len(world.finished(running)) == len(running))
    world.stack.let_up("redis")
    world.all_succeed([*running, *accepted])
    assert job.result(timeout=WAIT_S).charge_usd is not None
    assert world.attempts([*running, *accepted, job.id]) == {1}
    assert world.begun([*running, *accepted]) == once_each([*running, *accepted])
    assert world.pids() == workers
