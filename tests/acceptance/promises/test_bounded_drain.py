"""Promise: a worker that is told to stop ends what it can in time, and gives the rest back."""

import signal

import pytest

from penstock_producer import JobState
from penstock_shared.ledger.schema import Charge, JobResult
from tests.acceptance.promises.conftest import Worlds
from tests.acceptance.promises.world import World, once_each

SHORT, LONG = 8, 4
SHORT_TOKENS, LONG_TOKENS = 150, 1_600  # a second, 8 seconds
BOUND_S = 4
PATIENT_S = 60


@pytest.fixture(scope="module")
def bounded(worlds: Worlds) -> World:
    """One worker that drains for a moment."""
    return worlds.make(1, drain_s=BOUND_S)


@pytest.fixture(scope="module")
def patient(worlds: Worlds) -> World:
    """One worker that drains until the last job has ended."""
    return worlds.make(1, drain_s=PATIENT_S)


def load(world: World) -> tuple[list[str], list[str]]:
    """Short and long jobs, all of them in the engine."""
    world.wait_ready()
    long = world.submit(LONG, tokens=LONG_TOKENS)
    short = world.submit(SHORT, tokens=SHORT_TOKENS)
    world.wait(lambda: len(world.begun([*short, *long])) == SHORT + LONG)
    return short, long


def drain(world: World, short: list[str]) -> int:
    """SIGTERM, and wait until the short ones are settled and acknowledged: it still runs then."""
    assert not world.finished(short)
    pid = world.signal(0, signal.SIGTERM)
    world.wait(lambda: world.taken() == LONG, tend=False)
    assert world.stack.worker_pid(0) == pid
    assert world.outcomes(short) == {"succeeded": SHORT}
    return pid


def gone_back(world: World, long: list[str]) -> None:
    """Nobody has the long ones, nothing of them is stored, and no attempt was counted."""
    assert world.outcomes(long) == {"released": LONG}
    assert {row["state"] for row in world.settled(long)[0]} == {JobState.QUEUED}
    assert world.attempts(long) == {0}
    assert world.rows(JobResult, long) == world.rows(Charge, long) == []
    assert (world.waiting(), world.taken()) == (LONG, 0)


def has_ended(world: World) -> bool:
    return world.stack.worker_pid(0) is None


def test_short_jobs_end_and_are_acknowledged_in_the_drain_and_long_ones_go_back(
    bounded: World,
) -> None:
    short, long = load(bounded)
    drain(bounded, short)
    bounded.wait(lambda: has_ended(bounded), tend=False)
    gone_back(bounded, long)
    assert not bounded.finished(long)
    settled = bounded.settled(short)
    bounded.all_succeed([*short, *long])
    assert bounded.settled(short) == settled
    assert bounded.attempts([*short, *long]) == {1}


def test_a_second_signal_hurries_the_drain(patient: World) -> None:
    short, long = load(patient)
    drain(patient, short)
    patient.signal(0, signal.SIGTERM)
    patient.wait(lambda: has_ended(patient), tend=False)
    gone_back(patient, long)
    assert not patient.finished(long)  # for which it would have waited
    for job_id in long:
        patient.client.cancel(job_id)


def test_a_worker_that_is_killed_while_it_drains_changes_nothing(patient: World) -> None:
    short, long = load(patient)
    drain(patient, short)
    settled = patient.settled(short)
    patient.signal(0, signal.SIGKILL)
    patient.all_succeed([*short, *long])
    assert patient.settled(short) == settled
    assert patient.begun(short) == once_each(short)
    assert patient.attempts([*short, *long]) == {1}
