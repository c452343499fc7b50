"""What the proofs see of a stack: its jobs, its ledger, its broker and what its engines ran."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from redis import Redis
from sqlalchemy import func, select, text

from penstock_producer import Client, JobState, Result, Unavailable
from penstock_shared.broker import queues_of
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Charge, Job, JobResult, Table, WorkerTime
from penstock_workers.drill import script
from penstock_workers.drill.stack import DrillStack

WAIT_S: Final = 200.0
_LOOK_S: Final = 0.05
_OLD_S: Final = 0.3
_OPEN_TRANSACTIONS: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND backend_type = 'client backend' AND pid <> pg_backend_pid() "
    "AND xact_start < now() - make_interval(secs => :old)"
)


class World:
    """One stack, and a caller of it."""

    def __init__(self, stack: DrillStack, client: Client, database: Database) -> None:
        self.stack = stack
        self.client = client
        self.database = database
        self._wanted: dict[str, str] = {}

    def submit(self, count: int = 1, tokens: int = 40, what: str = "") -> list[str]:
        """Submit different prompts; returns the ids of their jobs."""
        first = len(self._wanted)
        prompts = [f"drill {first + n:06d} tokens={tokens} {what}".strip() for n in range(count)]
        jobs = self.client.submit_many(prompts, max_tokens=tokens)
        self._wanted |= {j.id: script.answer_of(p) for j, p in zip(jobs, prompts, strict=True)}
        return [job.id for job in jobs]

    def wait_ready(self) -> None:
        """Start what is down, and wait until every worker is ready and has said its name."""
        self.wait(lambda: all(worker.is_ready for worker in self.stack.workers))
        self.wait(lambda: None not in self.names())

    def wait(self, condition: Callable[[], object], *, tend: bool = True) -> None:
        """Wait for a condition, and start again what ended meanwhile."""
        end = time.monotonic() + WAIT_S
        while not condition():
            if tend:
                self.stack.tend()
            assert time.monotonic() < end, "what the test waits for does not happen"
            time.sleep(_LOOK_S)

    def ends(self, ids: Sequence[str]) -> dict[str, Result]:
        """Wait until all have ended; answers are right."""
        found: dict[str, Result] = {}

        def all_ended() -> bool:
            with suppress(Unavailable):
                found.update(self.client.fetch_many(ids))
            return len(found) == len(ids) and all(r.status.is_terminal for r in found.values())

        self.wait(all_ended)
        for job_id, result in found.items():
            if result.status is JobState.SUCCEEDED:
                assert result.text == self._wanted[job_id]
        return found

    def all_succeed(self, ids: Sequence[str]) -> dict[str, Result]:
        """Wait until all have succeeded: each with one charge, which one worker has booked."""
        found = self.ends(ids)
        assert Counter(r.status for r in found.values()) == {JobState.SUCCEEDED: len(ids)}
        assert sorted(row["job_id"] for row in self.rows(Charge, ids)) == sorted(ids)
        assert all(result.charge_usd is not None for result in found.values())
        charged, booked = self._books()
        assert +charged == +booked
        return found

    def rows(self, table: type[Table], ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Rows of a table of the ledger, all or those of some jobs."""
        model: Any = table
        key = Job.id if table is Job else getattr(model, "job_id", None)
        with self.database.read() as connection:
            found = [dict(row) for row in connection.execute(select(model)).mappings()]
        if ids is None or key is None:
            return found
        wanted = set(ids)
        return [row for row in found if row[key.key] in wanted]

    def settled(self, ids: Sequence[str]) -> list[list[dict[str, Any]]]:
        """All that the ledger says of how jobs ended.

        But for the waste of a lost attempt: it is known when its worker comes back, if ever.
        """
        tables = (Job, Attempt, JobResult, Charge)
        found = [self.rows(table, ids) for table in tables]
        for row in found[1]:
            if row["outcome"] == "lost":
                del row["waste_pusd"]
        return [sorted(rows, key=str) for rows in found]

    def attempts(self, ids: Sequence[str]) -> set[int]:
        """How many attempts of jobs were counted."""
        return {row["attempts"] for row in self.rows(Job, ids)}

    def outcomes(self, ids: Sequence[str]) -> Counter[str]:
        """How the claims of jobs ended."""
        return Counter(row["outcome"] for row in self.rows(Attempt, ids))

    def are_running(self, ids: Sequence[str]) -> bool:
        """True when some worker holds each of these jobs."""
        return {row["state"] for row in self.rows(Job, ids)} == {JobState.RUNNING}

    def running_at(self, worker_id: str | None) -> list[str]:
        """Jobs that this worker holds."""
        rows = self.rows(Job)
        return [r["id"] for r in rows if r["state"] == "running" and r["worker_id"] == worker_id]

    def begun(self, ids: Sequence[str]) -> Counter[str]:
        """How often engines began jobs."""
        return Counter(line["job_id"] for line in self.runs(ids, finished=False))

    def finished(self, ids: Sequence[str]) -> Counter[str]:
        """How often engines came to the end of jobs."""
        return Counter(line["job_id"] for line in self.runs(ids, finished=True))

    def log(self, worker: int) -> str:
        """What a worker has said, in all of its lives."""
        return self.stack.workers[worker].child.log.read_text(encoding="utf-8")

    @contextmanager
    def redis(self) -> "Iterator[Redis]":
        """The broker."""
        with Redis.from_url(self.stack.redis.url, decode_responses=True) as redis:
            yield redis

    def waiting(self) -> int:
        """Messages in the queue."""
        with self.redis() as redis:
            return sum(int(redis.llen(queue)) for queue in queues_of(script.TIER))

    def waiting_ids(self) -> set[str]:
        """Jobs of which messages are in the queue: a sweep may publish one a second time."""
        with self.redis() as redis:
            messages = [m for queue in queues_of(script.TIER) for m in redis.lrange(queue, 0, -1)]
        return {json.loads(message)["headers"]["id"] for message in messages}

    def taken(self) -> int:
        """Messages that some worker has taken and not yet acknowledged."""
        with self.redis() as redis:
            return int(redis.hlen("penstock.unacked"))

    def signal(self, worker: int, number: signal.Signals) -> int:
        """Send a worker a signal; returns its process id."""
        pid = self.stack.worker_pid(worker)
        assert pid is not None, f"worker {worker} does not run"
        os.kill(pid, number)
        return pid

    def pids(self) -> list[int | None]:
        """Process ids of the workers."""
        return [self.stack.worker_pid(number) for number in range(len(self.stack.workers))]

    def names(self) -> set[str | None]:
        """Under which names the workers claim."""
        return {self.stack.worker_id(number) for number in range(len(self.stack.workers))}

    def switch_on(self, name: str, value: object = "") -> None:
        """Let a worker fail in one of the ways that ``worker.py`` knows."""
        file = self.stack.home.parent / name
        beside = file.with_name(f"{name}.new")
        beside.write_text(str(value))
        beside.replace(file)  # all of it at once: workers read it at any time

    def freeze(self, worker: int) -> int:
        """SIGSTOP, but not in the middle of a transaction; returns the process id."""
        while True:
            pid = self.signal(worker, signal.SIGSTOP)
            time.sleep(2 * _OLD_S)
            if not self._open_transactions():
                return pid
            self.signal(worker, signal.SIGCONT)
            self.wait(lambda: not self._open_transactions())

    @contextmanager
    def engines_frozen(self) -> Iterator[None]:
        """No job begins or ends within the block; workers claim all the same."""
        found = [self.stack.engine_pid(number) for number in range(len(self.stack.workers))]
        pids = [pid for pid in found if pid is not None]
        assert len(pids) == len(found), "an engine does not run"
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def end_workers(self) -> None:
        """Tell all workers to stop, and give each the time that it takes."""
        for worker in self.stack.workers:
            self.stack.hold_down(worker.child.name)
        for worker in self.stack.workers:
            worker.child.terminate()
        self.wait(lambda: not any(self.pids()), tend=False)

    def runs(self, ids: Sequence[str], *, finished: bool) -> list[dict[str, Any]]:
        """What engines wrote down when they began jobs, or came to their end."""
        wanted, file = set(ids), self.stack.runs
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        found: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [
            line
            for line in found
            if line["job_id"] in wanted and line.get("finished", False) is finished
        ]

    def _books(self) -> tuple[Counter[str], Counter[str]]:
        """What was charged and what is booked, by worker, as of one moment."""
        of_charges = select(Charge.worker_id, func.sum(Charge.amount_pusd))
        with self.database.snapshot() as connection:
            charged = connection.execute(of_charges.group_by(Charge.worker_id)).all()
            booked = connection.execute(select(WorkerTime.worker_id, WorkerTime.charged_pusd)).all()
        return (
            Counter({worker_id: int(amount) for worker_id, amount in charged}),
            Counter({worker_id: int(amount) for worker_id, amount in booked}),
        )

    def _open_transactions(self) -> int:
        """How many have been open for so long that a process may have frozen in them."""
        with self.database.read() as connection:
            return int(connection.scalar(_OPEN_TRANSACTIONS, {"old": _OLD_S}) or 0)


@contextmanager
def world_of(stack: DrillStack) -> Iterator[World]:
    """Start a stack, give it a caller, and stop it."""
    stack.start()
    try:
        database = Database(stack.settings.ledger)
        try:
            with Client(stack.settings) as client:
                world = World(stack, client, database)
                world.wait_ready()
                yield world
        finally:
            database.close()
    finally:
        stack.stop()


def once_each(ids: Sequence[str]) -> Counter[str]:
    """Each of these jobs once."""
    return Counter(dict.fromkeys(ids, 1))
