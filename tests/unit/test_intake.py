"""Intake forms the admission batches."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from penstock_shared.words import JobState
from penstock_workers.intake import Intake, Requeue

BOUND_S = 30.0


class TickingClock:
    """Moves on by one millisecond whenever somebody looks at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def an_intake(
    *, size: int = 4, wait_ms: int = 50, clock: Callable[[], float] | None = None
) -> Intake:
    return Intake(max_batch_size=size, max_wait_ms=wait_ms, clock=clock or TickingClock())


def room() -> bool:
    return True


def no_room() -> bool:
    return False


def test_a_batch_has_at_most_its_size_and_the_order_of_delivery() -> None:
    intake = an_intake(size=4)
    for number in range(6):
        intake.deliver(str(number))
    assert intake.next_batch(room) == ["0", "1", "2", "3"]
    assert intake.next_batch(room) == ["4", "5"]


def test_while_the_engine_has_room_nothing_waits() -> None:
    clock = TickingClock()
    intake = an_intake(clock=clock)
    intake.deliver("a")
    assert intake.next_batch(room) == ["a"]
    assert clock.now < 0.01


def test_while_the_engine_is_full_a_batch_waits_for_company_until_its_time_is_over() -> None:
    clock = TickingClock()
    intake = an_intake(wait_ms=50, clock=clock)
    intake.deliver("a")
    assert intake.next_batch(no_room) == ["a"]
    assert 0.05 <= clock.now < 0.07


def test_a_batch_that_is_complete_does_not_wait_even_when_the_engine_is_full() -> None:
    clock = TickingClock()
    intake = an_intake(size=2, wait_ms=10_000, clock=clock)
    intake.deliver("a")
    intake.deliver("b")
    assert intake.next_batch(no_room) == ["a", "b"]
    assert clock.now < 0.01


def test_company_that_arrives_during_the_wait_joins_the_batch() -> None:
    intake = an_intake(size=2, wait_ms=10_000)
    intake.deliver("a")
    looked = threading.Event()
    batches: list[list[str]] = []

    def full_until_looked_at() -> bool:
        looked.set()
        return False

    admission = threading.Thread(
        target=lambda: batches.append(intake.next_batch(full_until_looked_at))
    )
    admission.start()
    assert looked.wait(BOUND_S)
    intake.deliver("b")
    admission.join(BOUND_S)
    assert batches == [["a", "b"]]


def test_a_slot_that_becomes_free_ends_the_wait() -> None:
    clock = TickingClock()
    intake = an_intake(wait_ms=10_000, clock=clock)
    intake.deliver("a")
    answers = iter([False, False, True])
    assert intake.next_batch(lambda: next(answers)) == ["a"]
    assert clock.now < 1


def test_an_empty_intake_waits_for_the_first_job() -> None:
    intake = an_intake()
    batches: list[list[str]] = []
    admission = threading.Thread(target=lambda: batches.append(intake.next_batch(room)))
    admission.start()
    intake.deliver("a")
    admission.join(BOUND_S)
    assert batches == [["a"]]


def test_a_job_that_is_open_is_joined_and_not_taken_twice() -> None:
    intake = an_intake()
    first, second = intake.deliver("a"), intake.deliver("a")
    assert intake.next_batch(room) == ["a"]
    third = intake.deliver("a")
    intake.resolve("a", JobState.SUCCEEDED)
    assert {f.result(BOUND_S) for f in (first, second, third)} == {JobState.SUCCEEDED}
    assert len(intake) == 0


def test_a_job_that_was_resolved_may_be_delivered_again() -> None:
    intake = an_intake()
    intake.deliver("a")
    assert intake.next_batch(room) == ["a"]
    intake.resolve("a", JobState.RUNNING)
    again = intake.deliver("a")
    assert not again.done()
    assert intake.next_batch(room) == ["a"]


def test_resolving_a_job_that_nobody_delivered_changes_nothing() -> None:
    intake = an_intake()
    other = intake.deliver("a")
    intake.resolve("b", JobState.SUCCEEDED)
    intake.send_back("b")
    assert not other.done()


def requeued(future: "Future[JobState]") -> bool:
    return isinstance(future.exception(BOUND_S), Requeue)


def test_closing_sends_back_what_was_not_admitted_and_lets_the_rest_end() -> None:
    intake = an_intake(size=1)
    admitted, waiting = intake.deliver("a"), intake.deliver("b")
    assert intake.next_batch(room) == ["a"]
    intake.close()
    assert requeued(waiting)
    assert requeued(intake.deliver("c"))
    assert not admitted.done()
    intake.resolve("a", JobState.SUCCEEDED)
    assert admitted.result(BOUND_S) is JobState.SUCCEEDED


def test_a_closed_intake_gives_no_batch_to_whoever_waits() -> None:
    intake = an_intake()
    batches: list[list[str] | None] = []
    admission = threading.Thread(target=lambda: batches.append(intake.next_batch(room)))
    admission.start()
    intake.close()
    admission.join(BOUND_S)
    assert batches == [None]


def test_sending_a_job_back_raises_requeue_at_its_deliverer() -> None:
    intake = an_intake()
    future = intake.deliver("a")
    intake.send_back("a")
    with pytest.raises(Requeue):
        future.result(BOUND_S)


def test_whoever_does_not_wait_long_gets_an_empty_batch() -> None:
    assert an_intake().next_batch(room, timeout_s=0.001) == []


def test_a_closed_intake_can_be_waited_for() -> None:
    intake = an_intake()
    assert not intake.wait_closed(0.001)
    intake.close()
    assert intake.wait_closed(0)


def test_everything_that_is_open_can_be_sent_back_at_once() -> None:
    intake = an_intake()
    futures = [intake.deliver(job_id) for job_id in ("a", "b")]
    intake.next_batch(room)
    intake.send_back_all()
    assert [type(future.exception(BOUND_S)) for future in futures] == [Requeue, Requeue]
    assert len(intake) == 0
