"""The task penstock.infer as Celery runs it, and an intake that knows at once how jobs end."""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from celery import Task
from redis import Redis

from penstock_shared.broker import queue_of
from penstock_shared.words import JobState
from penstock_workers.intake import Intake, Requeue

CANARY = "canary-5b7e"
SHORT = "Which city is the capital of France?"
HARD = "How many are 3 + 4? Explain why, step by step, and prove it."


class ScriptedIntake(Intake):
    """Knows at once how every job ends."""

    def __init__(self) -> None:
        super().__init__(max_batch_size=1, max_wait_ms=0)
        self.ending: JobState | Requeue = JobState.SUCCEEDED
        self.delivered: list[str] = []

    def deliver(self, job_id: str) -> "Future[JobState]":
        self.delivered.append(job_id)
        future: Future[JobState] = Future()
        if isinstance(self.ending, Requeue):
            future.set_exception(self.ending)
        else:
            future.set_result(self.ending)
        return future


@contextmanager
def delivered(
    task: Task, job_id: str, queue: str = "penstock.small", **context: Any
) -> Iterator[None]:
    """As Celery does while it runs a message of this id from this queue."""
    info = {"exchange": "", "routing_key": queue}
    task.push_request(id=job_id, delivery_info=info, called_directly=False, **context)
    try:
        yield
    finally:
        task.pop_request()


def run(task: Task, job_id: str, *args: Any, queue: str = "penstock.small", **kwargs: Any) -> Any:
    """Run the task on a message."""
    with delivered(task, job_id, queue, args=list(args), kwargs=kwargs):
        return task.run(*args, **kwargs)


def outcome_of(job_id: str) -> dict[str, str]:
    """What the task returns for a job that succeeded."""
    return {"job_id": job_id, "state": "succeeded"}


def sent(redis: Redis, tier: str) -> list[dict[str, Any]]:
    """The messages in a tier's queue."""
    return [json.loads(message) for message in redis.lrange(queue_of(tier), 0, -1)]
