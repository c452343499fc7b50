"""One connection pool to the ledger, on SQLite (WAL) or PostgreSQL."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from penstock_shared.errors import LedgerUnavailable, SchemaMismatch, SettingsError

_SQLITE_BUSY_S: Final = 30
_SQLITE_RETRY_S: Final = 0.02
_IDLE_IN_TRANSACTION_S: Final = 15
_SCHEMA_WORDS: Final = ("no such table", "no such column", "has no column")  # SQLite's
_DRIVERS: Final = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}


class Database:
    """Transactions on the ledger's database; its errors become ours at this edge."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise SettingsError("ledger_url is no database URL; write sqlite:///PATH") from None
        dialect = parsed.get_backend_name()
        if dialect not in _DRIVERS:
            raise SettingsError(f"ledger_url: {dialect} is not supported; use sqlite or postgresql")
        self.url = parsed.set(drivername=_DRIVERS[dialect])
        self.is_sqlite = dialect == "sqlite"
        connect: dict[str, Any] = (
            {"timeout": _SQLITE_BUSY_S} if self.is_sqlite else {"connect_timeout": 5}
        )
        self._engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=10,
            pool_timeout=30,
            pool_pre_ping=not self.is_sqlite,
            connect_args=connect,
            hide_parameters=True,  # an error in a log shows no prompt
        )
        if self.is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        else:
            event.listen(self._engine, "connect", _prepare_postgresql)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction that only reads, all of it as of one moment."""
        with self._translated(), self._engine.connect() as raw:
            # A transaction of SQLite reads as of its beginning anyway.
            level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
            connection = raw.execution_options(**level)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; on SQLite it takes the write lock at once."""
        with self._translated(), self._engine.connect() as raw:
            connection = raw.execution_options(penstock_write=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        place = self.url.render_as_string(hide_password=True)
        try:
            if self.is_sqlite and self.url.database and not Path(self.url.database).exists():
                raise LedgerUnavailable(
                    f"there is no ledger at {place}; start the stack with 'penstock up' "
                    "or create the tables with 'penstock migrate'"
                )
            yield
        except ProgrammingError as error:
            raise _schema_error(place, error) from error
        except (OperationalError, PoolTimeout) as error:
            if any(words in str(error.args) for words in _SCHEMA_WORDS):
                raise _schema_error(place, error) from error
            raise LedgerUnavailable(
                f"the ledger at {place} does not answer ({_reason(error)}); "
                "check that the database runs and that PENSTOCK_LEDGER_URL is right"
            ) from error
        except DBAPIError as error:
            if self.is_sqlite and type(error) is DatabaseError:
                raise LedgerUnavailable(f"{place} is no ledger: {_reason(error)}") from error
            if not error.connection_invalidated:
                raise
            raise LedgerUnavailable(f"the connection to the ledger at {place} broke") from error


def storable(text: str) -> str:
    """Text for any database: a model may write NUL, and PostgreSQL has no such character."""
    return text.replace("\x00", "\ufffd")


def _schema_error(place: str, error: Exception) -> SchemaMismatch:
    return SchemaMismatch(
        f"the ledger at {place} has another schema ({_reason(error)}); run 'penstock migrate'"
    )


def _reason(error: Exception) -> str:
    origin = getattr(error, "orig", None) or error
    lines = str(origin).strip().splitlines()
    return lines[0] if lines else type(origin).__name__


def _prepare_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we write BEGIN ourselves
    cursor = connection.cursor()
    _keep_wal(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _prepare_postgresql(connection: Any, _record: ConnectionPoolEntry) -> None:
    # A process that freezes within a transaction must not keep its locks for ever.
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_IN_TRANSACTION_S}s'")
    connection.commit()


def _keep_wal(cursor: sqlite3.Cursor) -> None:
    # On a new file two processes may do this at once, and SQLite's own timeout does not cover it.
    give_up = time.monotonic() + _SQLITE_BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
            if not is_busy or time.monotonic() > give_up:
                raise
            time.sleep(_SQLITE_RETRY_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("penstock_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
