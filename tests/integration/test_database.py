"""The ledger's database: its errors are ours, in one line that helps and tells no secret."""

import logging
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from penstock_shared.errors import LedgerUnavailable, SchemaMismatch, SettingsError
from penstock_shared.ledger import accepting, reading
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import check_schema, migrate
from penstock_shared.ledger.schema import Job
from penstock_shared.stack.processes import free_port
from tests.examples import NOW, a_draft, accept_some, rows
from tests.services import PostgresServer

CANARY = "canary-7f3a"


def refusal_of(url: str) -> str:
    database = Database(url)
    try:
        with pytest.raises(LedgerUnavailable) as refusal:
            check_schema(database)
    finally:
        database.close()
    assert "\n" not in refusal.value.message
    return refusal.value.message


def test_a_ledger_that_does_not_exist_is_missed_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "no" / "ledger.db"
    message = refusal_of(f"sqlite:///{path}")
    assert str(path) in message
    assert "penstock migrate" in message
    assert not path.parent.exists()


def test_a_file_that_is_no_database_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("this is a letter to my aunt " * 100)
    database = Database(f"sqlite:///{path}")
    with pytest.raises((LedgerUnavailable, SchemaMismatch)):
        check_schema(database)
    database.close()


def test_a_port_where_nobody_listens_is_named_without_the_password() -> None:
    port = free_port()
    message = refusal_of(f"postgresql://me:{CANARY}@127.0.0.1:{port}/ledger")
    assert str(port) in message
    assert "PENSTOCK_LEDGER_URL" in message
    assert CANARY not in message


def test_a_wrong_password_is_told_without_the_password(postgres: PostgresServer) -> None:
    message = refusal_of(postgres.url("postgres", password=CANARY))
    assert "password authentication failed" in message
    assert CANARY not in message


def test_a_database_that_does_not_exist_is_told(postgres: PostgresServer) -> None:
    assert '"nowhere" does not exist' in refusal_of(postgres.url("nowhere"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("a ledger", "no database URL"),
        ("mysql://me@host/ledger", "mysql is not supported"),
        (f"oracle://me:{CANARY}@host/ledger", "oracle is not supported"),
    ],
)
def test_a_url_that_is_no_ledger_is_refused_at_once(url: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as refusal:
        Database(url)
    assert CANARY not in refusal.value.message


def test_an_empty_database_says_how_to_make_the_tables(empty_url: str) -> None:
    database = Database(empty_url)
    if database.is_sqlite:
        Path(str(database.url.database)).touch()
    with pytest.raises(SchemaMismatch, match="run 'penstock migrate'"):
        check_schema(database)
    with pytest.raises(SchemaMismatch, match="run 'penstock migrate'"):
        reading.fetch(database, ["a"])
    database.close()


def test_a_migrated_database_passes_and_migrating_again_changes_nothing(
    database: Database,
) -> None:
    check_schema(database)
    ids = accept_some(database)
    migrate(database)
    assert [row.id for row in rows(database, Job)] == ids


@pytest.mark.damages_schema
def test_a_ledger_of_a_newer_penstock_asks_for_that_version(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match=r"schema 9999.*newer Penstock"):
        check_schema(database)


def test_a_transaction_that_fails_leaves_nothing_behind(database: Database) -> None:
    def accept_and_fail() -> None:
        with database.write() as connection:
            connection.execute(
                text("INSERT INTO duties (name, holder, until_ms) VALUES ('a', 'b', 1)")
            )
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        accept_and_fail()
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM duties")).scalar() == 0


def test_writers_of_many_threads_wait_for_each_other(database: Database) -> None:
    threads = [
        threading.Thread(
            target=lambda: [accepting.accept(database, [a_draft()], NOW) for _ in range(10)]
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(rows(database, Job)) == 60


@pytest.mark.damages_schema
def test_an_error_of_the_database_shows_no_prompt(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE results")
        connection.exec_driver_sql("ALTER TABLE jobs RENAME COLUMN reason TO renamed")
    try:
        accepting.accept(database, [a_draft(f"my secret is {CANARY}")], NOW)
    except SchemaMismatch:
        logging.getLogger(__name__).exception("it failed")
    assert "it failed" in caplog.text
    assert CANARY not in caplog.text


def test_only_its_owner_reads_the_file_of_a_ledger(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'home' / 'ledger.db'}"
    database = Database(url)
    migrate(database)
    database.close()
    path = Path(str(make_url(url).database))
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
