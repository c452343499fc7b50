"""Promise: a job has one result and one charge, also when two workers had it."""

import signal
from pathlib import Path

from penstock_shared.ledger.schema import WorkerTime
from penstock_shared.ledger.worker_time import read_books
from penstock_shared.words import AttemptOutcome
from tests.acceptance.promises.world import World, once_each

FROZEN = 0
JOBS = 60
REFUSED = "late settlements refused"


def waste_of(world: World, worker_id: str) -> int:
    [waste] = [row["waste_pusd"] for row in world.rows(WorkerTime) if row["worker_id"] == worker_id]
    return int(waste)


def is_frozen(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_worker_that_is_frozen_before_its_commit_does_not_hold_up_the_others(
    world: World,
) -> None:
    world.switch_on("freeze")
    ids = world.submit(JOBS, tokens=200)
    pids = [pid for pid in world.pids() if pid is not None]

    def one_is_frozen() -> bool:
        return any(is_frozen(pid) for pid in pids)

    world.wait(one_is_frozen)
    world.all_succeed(ids)
    assert one_is_frozen()
    before = world.settled(ids)
    for worker in range(len(pids)):
        world.signal(worker, signal.SIGCONT)
    more = world.submit(JOBS)
    world.all_succeed(more)
    assert world.settled(ids) == before
    assert world.pids() == pids


def test_the_late_write_of_a_worker_that_was_frozen_is_refused_and_is_waste(world: World) -> None:
    worker_id = world.stack.worker_id(FROZEN)
    assert worker_id is not None
    ids: list[str] = []

    def is_frozen_with_work() -> bool:
        ids.extend(some := world.submit(JOBS, tokens=500))
        world.wait(lambda: len(world.begun(some)) == JOBS)
        world.freeze(FROZEN)  # and not its engine, which brings its jobs to their end
        if world.running_at(worker_id):
            return True
        world.signal(FROZEN, signal.SIGCONT)
        return False

    world.wait(is_frozen_with_work)
    mine = world.running_at(worker_id)
    wasted, said = waste_of(world, worker_id), world.log(FROZEN).count(REFUSED)
    results = world.all_succeed(ids)
    assert all(world.begun([job_id])[job_id] == 2 for job_id in mine)  # others ran them again
    assert {row["outcome"] for row in world.settled(mine)[1]} == {
        AttemptOutcome.LOST,
        AttemptOutcome.SUCCEEDED,
    }
    before = world.settled(ids)

    world.signal(FROZEN, signal.SIGCONT)
    world.wait(lambda: world.log(FROZEN).count(REFUSED) > said)
    world.wait(lambda: waste_of(world, worker_id) > wasted)
    assert world.settled(ids) == before
    assert world.all_succeed(ids) == results

    more: list[str] = []

    def works_on() -> bool:
        more.extend(world.submit(JOBS))
        world.all_succeed(more)
        return any(row["worker_id"] == worker_id for row in world.settled(more)[1])

    world.wait(works_on)
    assert world.settled(ids) == before
    assert world.begun(more) == once_each(more)
    assert world.stack.worker_id(FROZEN) == worker_id  # it did not have to be started again
    world.end_workers()
    ended = {books.worker_id: books for books in read_books(world.database) if books.has_ended}
    assert worker_id in ended
    assert {books.difference_pusd for books in ended.values()} == {0}
