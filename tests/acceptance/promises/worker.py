"""A worker of the drill with faults that tests switch on by files in PROMISE_FOLDER.

The faults are put into this process from outside: the worker itself is the real one.
"""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from celery.backends.base import Backend
from sqlalchemy import Connection

from penstock_shared import broker
from penstock_shared.cli import guarded
from penstock_shared.ledger import database as ledger
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from penstock_shared.words import JobState
from penstock_workers import assembly
from penstock_workers.batcher import Batcher
from penstock_workers.desk import Desk
from penstock_workers.drill.worker import app

FOLDER: Final = Path(os.environ["PROMISE_FOLDER"])
DONE: Final = FOLDER / "failures.jsonl"
NAME: Final = "visibility_s"


class Failures:
    """Of each kind, as many as its file says, each for another job."""

    def __init__(self, kind: str) -> None:
        self._file = FOLDER / kind
        self._kind = kind
        self._job_ids: set[str] = set()
        self._lock = threading.Lock()  # many threads ask, and no more may fail than the file says

    def hits(self, job_id: str) -> bool:
        """True when this job fails now."""
        with self._lock:
            if job_id in self._job_ids:
                return True
            if not self._file.exists() or len(self._job_ids) >= int(self._file.read_text()):
                return False
            self._job_ids.add(job_id)
            line = json.dumps({"kind": self._kind, "pid": os.getpid(), "job_id": job_id})
            with DONE.open("a", encoding="utf-8") as done:
                done.write(line + "\n")
            return True


def break_backend() -> None:
    """The result backend fails whenever it is told of one of these jobs."""
    failures = Failures("backend")
    for name in ("mark_as_done", "mark_as_failure"):
        whole = getattr(Backend, name)

        def broken(self: Backend, task_id: str, *args: Any, _whole: Any = whole, **kw: Any) -> Any:
            if failures.hits(task_id):
                raise ConnectionError("the result backend is down")
            return _whole(self, task_id, *args, **kw)

        setattr(Backend, name, broken)


def break_body() -> None:
    """In the body of the task something is raised that is no Exception."""
    failures = Failures("body")
    whole = Desk.outcome
    again: set[str] = set()

    def outcome(self: Desk, job_id: str) -> JobState:
        if job_id not in again and failures.hits(job_id):
            again.add(job_id)
            raise asyncio.CancelledError
        return whole(self, job_id)

    Desk.outcome = outcome  # type: ignore[method-assign]


def break_admission() -> None:
    """The thread that admits jobs ends by something that is no Exception."""
    whole = Batcher._claim

    def claim(self: Batcher, job_ids: Sequence[str], **options: Any) -> Any:
        if is_our_turn("admission"):
            raise asyncio.CancelledError
        return whole(self, job_ids, **options)

    Batcher._claim = claim  # type: ignore[method-assign]


def freeze_in_settlement() -> None:
    """The process is stopped when it has written answers, and has not committed them."""
    ledger._IDLE_IN_TRANSACTION_S = 8  # type: ignore[misc]  # so that the test waits less
    whole = Database.write

    @contextmanager
    def write(self: Database) -> Iterator[Connection]:
        with whole(self) as connection:
            yield connection
            if threading.current_thread().name == "settlement" and is_our_turn("freeze"):
                os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(1)  # it stops soon, and not at once

    Database.write = write  # type: ignore[method-assign]


def is_our_turn(switch: str) -> bool:
    """True for the first process that asks when a switch has been set."""
    try:
        (FOLDER / switch).unlink()
    except FileNotFoundError:
        return False
    return True


def shorten_visibility() -> None:
    """Messages may be held for a shorter time than the settings allow."""
    file = FOLDER / "visibility"
    if file.exists():
        seconds = float(file.read_text())

        def visibility(_: Settings) -> float:
            return seconds

        for module in (broker, assembly):
            setattr(module, NAME, visibility)


if __name__ == "__main__":
    for sabotage in (
        break_backend,
        break_body,
        break_admission,
        freeze_in_settlement,
        shorten_visibility,
    ):
        sabotage()
    guarded(app)
