"""Promise: broken connections to the broker, and a restart of it, repeat nothing."""

import time

from tests.acceptance.promises.world import World, once_each

LOAD_S = 20.0
EVERY_S = 2.0
PAUSE_S = 0.2


def test_engines_run_every_job_once_although_connections_break_all_the_time(world: World) -> None:
    server = world.stack.redis
    workers = world.pids()
    ids: list[str] = []
    start = time.monotonic()
    next_drop, broken, restarted = start + EVERY_S, 0, False
    while (now := time.monotonic()) < start + LOAD_S or not restarted:
        ids += world.submit(5, tokens=250)
        if now > start + LOAD_S / 2 and not restarted:
            server.child.stop(10.0)
            server.start()
            restarted = True
        if now > next_drop:
            with world.redis() as redis:
                broken += int(redis.client_kill_filter(_type="normal", skipme=True))
            next_drop += EVERY_S
        time.sleep(PAUSE_S)
    assert broken > len(world.stack.workers)
    world.all_succeed(ids)
    assert world.begun(ids) == once_each(ids)
    assert world.attempts(ids) == {1}
    assert world.pids() == workers
