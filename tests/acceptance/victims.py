"""Workers and engines of a running stack, for tests that end them and read what became of it."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psutil
from sqlalchemy import select

from penstock_producer import Client, JobState, load_settings
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, CacheEntry, Charge, JobResult
from penstock_workers.engine.process import HOST
from penstock_workers.health import check
from tests.acceptance.command import Home, processes_of, wait_until

ENDS_S: Final = 200.0


def worker_sign(home: Home, tier: str) -> dict[str, Any]:
    """The sign of life of a tier's worker, as ``penstock-worker health`` shows it."""
    signs: list[dict[str, Any]] = []

    def is_there() -> bool:
        signs[:] = [health.sign for health in check(home.folder, tier) if health.healthy]
        return len(signs) == 1

    wait_until(is_there, ENDS_S)
    return signs[0]


def worker_of(home: Home, tier: str) -> psutil.Process:
    """The process of a tier's worker."""
    return psutil.Process(worker_sign(home, tier)["pid"])


def engine_of(worker: psutil.Process) -> psutil.Process:
    """The process of a worker's engine."""
    [engine] = [child for child in worker.children() if HOST in child.cmdline()]
    return engine


def engines_of(home: Home) -> set[int]:
    """All engines that run on this home, whoever their parent is."""
    return {process.pid for process in processes_of(home.folder) if HOST in process.cmdline()}


def is_gone(process: psutil.Process) -> bool:
    """True when a process has ended, even if nobody has looked at it yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def frozen(process: psutil.Process) -> Iterator[None]:
    """A process that stands still; it goes on afterwards if it still lives."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        if not is_gone(process):
            process.send_signal(signal.SIGCONT)


def wait_boarded(client: Client, tier: str, ids: Sequence[str]) -> None:
    """Wait until the worker of a tier has handed these jobs to its engine, which may stand still.

    One thread admits batch after batch, and an embedding needs no engine: when it is answered, what
    was claimed before it is on its way into the engine.
    """
    wait_until(lambda: all_are(client, ids, JobState.RUNNING), ENDS_S)
    client.submit("A dam.", kind="embedding", tier=tier).result(ENDS_S)


def all_are(client: Client, ids: Sequence[str], state: JobState) -> bool:
    """True when all jobs are in this state now."""
    return {result.status for result in client.fetch_many(ids).values()} == {state}


def all_succeed(client: Client, ids: Sequence[str]) -> None:
    """Wait until every job has its answer."""
    ended = list(client.as_completed([client.job(i) for i in ids], timeout=ENDS_S))
    assert [r.error for r in ended if r.status is not JobState.SUCCEEDED] == []
    assert sorted(r.job_id for r in ended) == sorted(ids)


class Books:
    """What the ledger keeps about jobs besides their state."""

    def __init__(self, home: Home) -> None:
        self._database = Database(load_settings(home.folder).ledger)

    def close(self) -> None:
        """Free the connections."""
        self._database.close()

    def attempts(self, ids: Sequence[str]) -> list[tuple[str, str | None]]:
        """Outcome and error of each claim of these jobs, in the order of the claims."""
        query = select(Attempt.outcome, Attempt.error).where(Attempt.job_id.in_(ids))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(Attempt.fence, Attempt.job_id))
            return [(row.outcome, row.error) for row in rows]

    def answered(self, ids: Sequence[str]) -> list[str]:
        """Which of these jobs have a result, once for each."""
        return self._ids(select(JobResult.job_id).where(JobResult.job_id.in_(ids)))

    def charged(self, ids: Sequence[str]) -> list[str]:
        """Which of these jobs were charged, once for each charge."""
        return self._ids(select(Charge.job_id).where(Charge.job_id.in_(ids)))

    def cached(self, tenant: str) -> list[str]:
        """The questions whose answers are in a tenant's cache."""
        return self._ids(select(CacheEntry.question).where(CacheEntry.tenant == tenant))

    def _ids(self, query: Any) -> list[str]:
        with self._database.read() as connection:
            return sorted(connection.scalars(query))
