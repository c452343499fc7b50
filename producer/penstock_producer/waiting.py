"""Waiting for jobs to end: one thread and one query for all that a client waits for."""

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from penstock_shared.errors import JobNotFound, Unavailable
from penstock_shared.ledger import claiming
from penstock_shared.ledger.database import Database
from penstock_shared.words import JobState

_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.25
_GROWTH: Final = 1.3


class Ended:
    """Ids of jobs that ended, as they end."""

    def __init__(self) -> None:
        self._ids: queue.SimpleQueue[str] = queue.SimpleQueue()

    def put(self, job_id: str) -> None:
        """Add one."""
        self._ids.put(job_id)

    def take(self, timeout_s: float | None) -> Sequence[str]:
        """Wait for some; empty when the time is over."""
        try:
            some = [self._ids.get(timeout=timeout_s)]
        except queue.Empty:
            return []
        with suppress(queue.Empty):
            while True:
                some.append(self._ids.get_nowait())
        return some


class Waiter:
    """Asks the ledger for the states of all awaited jobs, often at first, then less often."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._awaited: dict[str, Future[JobState]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def wait(self, job_id: str) -> "Future[JobState]":
        """A future of the terminal state; it fails with JobNotFound when there is no such job."""
        with self._changed:
            future = self._awaited.get(job_id)
            if future is None:
                future = Future()
                future.set_running_or_notify_cancel()  # many share it: no one may cancel it
                if self._closed:
                    future.set_exception(_closed())
                    return future
                self._awaited[job_id] = future
                self._wake()
            return future

    def close(self) -> None:
        """Stop asking; who still waits hears that the client is closed."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for job_id in list(self._awaited):
            self._take(job_id).set_exception(_closed())

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="penstock-waiter", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        asked: frozenset[str] = frozenset()
        while awaited := self._next_round(asked, pause_s):
            started = time.monotonic()
            some_ended = self._ask(awaited, new=awaited - asked)
            # Asking for many takes long: it may cost a tenth of the time, and no more.
            shortest_s = max(_FIRST_PAUSE_S, 9 * (time.monotonic() - started))
            pause_s = max(shortest_s, min(pause_s * _GROWTH, _LONGEST_PAUSE_S))
            if some_ended or not asked.issuperset(awaited):
                pause_s = shortest_s
            asked = awaited

    def _next_round(self, asked: frozenset[str], pause_s: float) -> frozenset[str]:
        """Pause, shorter when there is a new job to wait for; empty when closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or not asked.issuperset(self._awaited), pause_s
            )
            self._changed.wait_for(lambda: self._awaited or self._closed)
            return frozenset() if self._closed else frozenset(self._awaited)

    def _ask(self, awaited: frozenset[str], new: frozenset[str]) -> bool:
        """Ask the ledger once; True when some of the jobs have ended."""
        try:
            states = claiming.states(self._database, new)
            states |= claiming.states(self._database, awaited - new, only_terminal=True)
        except Unavailable:
            return False  # an outage costs latency only
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            for job_id in awaited:
                self._take(job_id).set_exception(error)
            return True
        missing = new - states.keys()
        for job_id in missing:
            unknown = JobNotFound(f"there is no job {job_id!r} in this ledger")
            self._take(job_id).set_exception(unknown)
        ended = {job_id: state for job_id, state in states.items() if state.is_terminal}
        for job_id, state in ended.items():
            self._take(job_id).set_result(state)
        return bool(missing or ended)

    def _take(self, job_id: str) -> "Future[JobState]":
        with self._changed:
            return self._awaited.pop(job_id)


def _closed() -> Unavailable:
    return Unavailable("the client was closed; the job goes on, ask for it with another client")
