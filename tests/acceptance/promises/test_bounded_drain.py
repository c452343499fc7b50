"""Promise: a worker that is told to stop ends what it can in time, and gives the rest back."""

import signal

import pytest

from penstock_producer import JobState
from penstock_shared.ledger.schema import Charge, JobResult
from tests.acceptance.promises.conftest import Worlds
from tests.acceptance.promises.world import World, once_each

SHORT, LONG = 8, 4
SHORT_TOKENS, LONG_TOKENS = 40, 3_000  # a moment; at least 15 seconds, at 5 ms each
BOUND_S = 8
PATIENT_S = 60


@pytest.fixture(scope="module")
def bounded(worlds: Worlds) -> World:
    """One worker that drains for a moment."""
    return worlds.make(1, drain_s=BOUND_S)


@pytest.fixture(scope="module")
def patient(worlds: Worlds) -> World:
    """One worker that drains until the last job has ended."""
    return worlds.make(1, drain_s=PATIENT_S)


def load_and_drain(world: World) -> tuple[list[str], list[str]]:
    """SIGTERM with short and long jobs in hand, and wait until the short ones are settled.

    The engine stands still until the signal, so that nothing has ended when the drain begins. When
    the short ones are acknowledged, the worker still runs. Returns the short and the long ones.
    """
    world.wait_ready()
    with world.engines_frozen():
        long = world.submit(LONG, tokens=LONG_TOKENS)
        short = world.submit(SHORT, tokens=SHORT_TOKENS)
        world.wait(lambda: world.are_running([*short, *long]))
        pid = world.signal(0, signal.SIGTERM)
    world.wait(lambda: world.taken() == LONG, tend=False)
    assert world.stack.worker_pid(0) == pid
    assert world.outcomes(short) == {"succeeded": SHORT}
    return short, long


def gone_back(world: World, long: list[str]) -> None:
    """Nobody has the long ones, nothing of them is stored, and no attempt was counted."""
    assert world.outcomes(long) == {"released": LONG}
    assert {row["state"] for row in world.settled(long)[0]} == {JobState.QUEUED}
    assert world.attempts(long) == {0}
    assert world.rows(JobResult, long) == world.rows(Charge, long) == []
    assert (world.waiting_ids(), world.taken()) == (set(long), 0)


def has_ended(world: World) -> bool:
    return world.stack.worker_pid(0) is None


def test_short_jobs_end_and_are_acknowledged_in_the_drain_and_long_ones_go_back(
    bounded: World,
) -> None:
    short, long = load_and_drain(bounded)
    bounded.wait(lambda: has_ended(bounded), tend=False)
    gone_back(bounded, long)
    assert not bounded.finished(long)
    settled = bounded.settled(short)
    bounded.all_succeed([*short, *long])
    assert bounded.settled(short) == settled
    assert bounded.attempts([*short, *long]) == {1}


def test_a_second_signal_hurries_the_drain(patient: World) -> None:
    _, long = load_and_drain(patient)
    patient.signal(0, signal.SIGTERM)
    patient.wait(lambda: has_ended(patient), tend=False)
    gone_back(patient, long)
    assert not patient.finished(long)  # for which it would have waited
    for job_id in long:
        patient.client.cancel(job_id)


def test_a_worker_that_is_killed_while_it_drains_changes_nothing(patient: World) -> None:
    short, long = load_and_drain(patient)
    settled = patient.settled(short)
    patient.signal(0, signal.SIGKILL)
    patient.all_succeed([*short, *long])
    assert patient.settled(short) == settled
    assert patient.begun(short) == once_each(short)
    assert patient.attempts([*short, *long]) == {1}
