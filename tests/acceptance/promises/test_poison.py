"""Promise: a prompt that kills its engine ends dead, and harms nobody else."""

from collections import Counter

from penstock_producer import JobState
from tests.acceptance.promises.world import World


def test_one_poisonous_job_among_fifty_is_dead_and_the_others_pay_no_attempt(world: World) -> None:
    with world.engines_frozen():  # so that it meets others in its engine
        good = world.submit(25, tokens=200)
        [poison] = world.submit(1, tokens=200, what="poison")
        good += world.submit(25, tokens=200)
        world.wait(lambda: world.are_running([*good, poison]))
    found = world.ends([*good, poison])
    assert Counter(r.status for r in found.values()) == {JobState.SUCCEEDED: 50, JobState.DEAD: 1}
    dead = found[poison]
    assert dead.status is JobState.DEAD
    assert dead.attempts == world.stack.settings.worker.max_attempts
    assert "the engine died" in (dead.error or "")
    assert dead.text is None
    assert dead.charge_usd is None
    assert world.attempts(good) == {1}
    assert any(row["suspicion"] for row in world.settled(good)[0])  # some were in it together
    world.all_succeed(good)
