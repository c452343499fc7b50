"""Intake: the jobs that Celery delivered to this worker, from delivery until they are settled."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from penstock_shared.words import JobState


class Requeue(Exception):
    """The job goes back to its queue: this worker stops before it could end it."""


class Intake:
    """Delivered job ids wait here for an admission batch, and their deliverers for the outcome.

    Delivering a job that is open already joins it: a repeated message never makes a second run
    in this process.
    """

    def __init__(
        self, *, max_batch_size: int, max_wait_ms: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_batch_size = max_batch_size
        self._max_wait_s = max_wait_ms / 1000
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._open: dict[str, Future[JobState]] = {}
        self._closed = False

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait until the intake closes; False when it is still open."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout_s)

    def deliver(self, job_id: str) -> "Future[JobState]":
        """Hand in a job; the future gives the state in which it ended, or Requeue."""
        with self._changed:
            if job_id in self._open:
                return self._open[job_id]
            future: Future[JobState] = Future()
            if self._closed:
                future.set_exception(Requeue())
                return future
            self._open[job_id] = future
            self._waiting.append(job_id)
            self._changed.notify()
            return future

    def next_batch(
        self, has_room: Callable[[], bool], timeout_s: float | None = None
    ) -> list[str] | None:
        """Wait for jobs and take up to ``max_batch_size``; None when the intake is closed.

        The list is empty when none came within ``timeout_s``.

        While the engine has room, whatever waits goes at once. Only while it is full does a batch
        wait for company, at most ``max_wait_ms``.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout_s)
            end = self._clock() + self._max_wait_s
            while self._waiting and not (self._is_full() or self._closed or has_room()):
                remaining = end - self._clock()
                if remaining <= 0:
                    break
                self._changed.wait(min(remaining, 0.005))
            if self._closed:
                return None
            count = min(len(self._waiting), self._max_batch_size)
            return [self._waiting.popleft() for _ in range(count)]

    def resolve(self, job_id: str, state: JobState) -> None:
        """Tell whoever delivered the job how it stands."""
        with self._changed:
            future = self._open.pop(job_id, None)
        if future is not None:
            future.set_result(state)

    def send_back(self, job_id: str) -> None:
        """Let the job's message return to its queue."""
        with self._changed:
            future = self._open.pop(job_id, None)
        if future is not None:
            future.set_exception(Requeue())

    def send_back_all(self) -> None:
        """Let the messages of all jobs that are open return to their queues."""
        for job_id in list(self._open):
            self.send_back(job_id)

    def close(self) -> int:
        """Take nothing any more; what was not admitted yet goes back to its queue.

        Returns how many jobs that are.
        """
        with self._changed:
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for job_id in waiting:
            self.send_back(job_id)
        return len(waiting)

    def __len__(self) -> int:
        return len(self._open)

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._max_batch_size
