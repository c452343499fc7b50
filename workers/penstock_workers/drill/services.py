"""What the drill does to Redis and to the ledger themselves."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Select, func, select, text

from penstock_shared.errors import Unavailable
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Duty, Job, Table
from penstock_shared.words import JobState

_TIMEOUT_S: Final = 2.0
_DROP: Final = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def empty_redis(url: str) -> bool:
    """FLUSHALL; False when Redis does not answer."""
    try:
        with _redis(url) as redis:
            redis.flushall()
    except RedisError:
        return False
    return True


def drop_redis_connections(url: str) -> bool:
    """Break all connections but this one; False when Redis does not answer."""
    try:
        with _redis(url) as redis:
            for kind in ("normal", "pubsub"):
                redis.client_kill_filter(_type=kind, skipme=True)
    except RedisError:
        return False
    return True


def drop_ledger_connections(url: str) -> bool:
    """Break all connections to PostgreSQL but this one; False when it does not answer."""
    database = Database(url, pool_size=1)
    try:
        with database.read() as connection:
            connection.execute(_DROP)
    except Unavailable:
        return False
    finally:
        database.close()
    return True


def holder_of_sweep(url: str) -> str | None:
    """The worker that sweeps for all; None when nobody does or the ledger does not answer."""
    return _scalar(url, select(Duty.holder).where(Duty.name == "sweep"))


def has_jobs(url: str, worker_id: str) -> bool:
    """True when the ledger answers that this worker runs a job."""
    mine = (Job.state == JobState.RUNNING.value, Job.worker_id == worker_id)
    return _scalar(url, select(Job.id).where(*mine).limit(1)) is not None


def count_states(database: Database) -> dict[JobState, int] | None:
    """How many jobs are in each state; None when the ledger does not answer."""
    try:
        with database.read() as connection:
            rows = connection.execute(select(Job.state, func.count()).group_by(Job.state)).all()
    except Unavailable:
        return None
    return {JobState(state): count for state, count in rows}


def write_out(database: Database, folder: Path) -> None:
    """Write each table into a file of JSON lines, to be read when the ledger is gone.

    Raises LedgerUnavailable.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with database.read() as connection:
        for table in Table.metadata.sorted_tables:
            rows = connection.execute(select(table)).mappings()
            lines = (json.dumps(dict(row), default=str) + "\n" for row in rows)
            (folder / f"{table.name}.jsonl").write_text("".join(lines), encoding="utf-8")


class LockedLedger:
    """Somebody who holds the write lock of a SQLite ledger."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._held = ExitStack()

    def take(self) -> bool:
        """Take the lock; False when the ledger does not answer."""
        with ExitStack() as opened:
            database = Database(self._url, pool_size=1)
            opened.callback(database.close)
            try:
                opened.enter_context(database.write())
            except Unavailable:
                return False
            self._held = opened.pop_all()
        return True

    def give_back(self) -> None:
        """Free the lock."""
        self._held.close()


def _scalar(url: str, query: Select[Any]) -> str | None:
    database = Database(url, pool_size=1)
    try:
        with database.read() as connection:
            found: str | None = connection.scalar(query)
            return found
    except Unavailable:
        return None
    finally:
        database.close()


def _redis(url: str) -> Redis:
    return Redis.from_url(url, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S)
