"""What fails outside of a task gives its slot back, once with the message and then without."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from celery.exceptions import Ignore, Reject

from penstock_workers.delivery import Pool

BOUND_S = 30.0


class Slot:
    """What Celery's request hears from the pool."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        self.returned: Any = None
        self.failure: Any = None

    def accept(self, _pid: int, _time: float) -> None:
        pass

    def succeed(self, returned: Any) -> None:
        if isinstance(returned, ExceptionInfo):
            raise TypeError("cannot unpack it")  # as Celery's own does
        self.returned = returned
        self.heard.set()

    def fail(self, info: ExceptionInfo) -> None:
        self.failure = info.exception.exc  # Celery unwraps it like that
        self.heard.set()


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(limit=2)
    pool.start()
    yield pool
    pool.stop()


def apply(pool: Pool, target: Callable[..., Any], *, redelivered: bool = False) -> Slot:
    slot = Slot()
    message = {"delivery_info": {"redelivered": redelivered}}
    pool.apply_async(
        target,
        ("penstock.infer", "a-job", message),
        {},
        callback=slot.succeed,
        error_callback=slot.fail,
        accept_callback=slot.accept,
        timeout_callback=None,
        soft_timeout=None,
        timeout=None,
        correlation_id="a-job",
    )
    assert slot.heard.wait(BOUND_S)
    return slot


def raising(error: BaseException) -> Callable[..., Any]:
    def target(*_: object) -> Any:
        raise error

    return target


FAILURES = [ConnectionError("no backend"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()]


def test_a_task_that_returns_is_heard(pool: Pool) -> None:
    assert apply(pool, lambda *_: (0, "done", 0.1)).returned == (0, "done", 0.1)


@pytest.mark.parametrize("error", FAILURES, ids=lambda e: type(e).__name__)
def test_what_fails_outside_of_its_task_goes_back_once(pool: Pool, error: BaseException) -> None:
    failure = apply(pool, raising(error)).failure
    assert isinstance(failure, Reject)
    assert failure.requeue


@pytest.mark.parametrize("error", FAILURES, ids=lambda e: type(e).__name__)
def test_what_fails_again_is_left_to_the_ledger(pool: Pool, error: BaseException) -> None:
    assert isinstance(apply(pool, raising(error), redelivered=True).failure, Ignore)


def test_the_pool_outlives_more_failures_than_it_has_threads(pool: Pool) -> None:
    for error in [*FAILURES, *FAILURES]:
        apply(pool, raising(error))
    assert apply(pool, lambda *_: (0, "done", 0.1)).returned == (0, "done", 0.1)
