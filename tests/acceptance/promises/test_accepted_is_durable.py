"""Promise: what was accepted is durable, whatever the broker forgets."""

import shutil
import signal

from tests.acceptance.promises.world import World, once_each

JOBS = 500


def forget_everything(world: World) -> None:
    """FLUSHALL, kill -9, and a new Redis without anything that the old one wrote."""
    server = world.stack.redis
    with world.redis() as redis:
        redis.flushall()
    server.child.kill()
    for path in (world.stack.home / "redis").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".conf":
            path.unlink()
    assert [path.suffix for path in (world.stack.home / "redis").iterdir()] == [".conf"]
    server.start()


def test_jobs_outlive_a_broker_that_lost_everything_before_they_began(world: World) -> None:
    workers = range(len(world.stack.workers))
    for worker in workers:
        world.freeze(worker)
    ids = world.submit(JOBS, tokens=10)
    assert world.waiting() > JOBS - 50  # the rest is on its way to a worker
    forget_everything(world)
    assert world.waiting() == 0  # nobody who could publish again is awake
    for worker in workers:
        world.signal(worker, signal.SIGCONT)
    world.all_succeed(ids)
    assert world.attempts(ids) == {1}
    assert world.begun(ids) == once_each(ids)


def test_jobs_outlive_a_broker_that_lost_everything_while_they_ran(world: World) -> None:
    ids = world.submit(JOBS // 2, tokens=100)
    world.wait(lambda: world.begun(ids))
    forget_everything(world)
    world.all_succeed(ids)
    assert world.attempts(ids) == {1}
    assert world.begun(ids) == once_each(ids)
