"""A PostgreSQL of our own keeps what it committed, however it ends."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from penstock_shared.errors import LedgerUnavailable
from penstock_shared.stack.postgres_server import PostgresServer, can_live_in
from penstock_shared.stack.processes import children_of
from tests.integration.test_processes import is_gone
from tests.rig import eventually

NAME = "waters"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(log=tmp_path / "logs" / "postgres.log")
    server.start()
    yield server
    server.stop()
    server.remove()


def kill(server: PostgresServer) -> None:
    """Kill it, and wait for its processes: one that is not quite gone may not be followed."""
    assert server.child.pid is not None
    inside = children_of(server.child.pid)
    assert inside
    server.kill()
    eventually(lambda: all(map(is_gone, inside)))


def execute(server: PostgresServer, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url(NAME)) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_it_is_durable_unless_told_otherwise(server: PostgresServer) -> None:
    server.create(NAME)
    for option in ("fsync", "synchronous_commit", "full_page_writes"):
        assert execute(server, f"SHOW {option}") == [("on",)]


def test_what_was_committed_survives_a_kill_on_the_same_port(server: PostgresServer) -> None:
    server.create(NAME)
    execute(server, "CREATE TABLE dams (name text)")
    execute(server, "INSERT INTO dams VALUES ('Hoover')")
    open_connection = psycopg.connect(server.url(NAME))
    kill(server)
    assert not server.child.is_running
    assert not server.answers()
    with pytest.raises(psycopg.OperationalError):
        open_connection.execute("SELECT 1")
    open_connection.close()
    server.start()
    assert execute(server, "SELECT name FROM dams") == [("Hoover",)]


def test_it_stops_whoever_is_connected_and_starts_again(server: PostgresServer) -> None:
    server.create(NAME)
    with psycopg.connect(server.url(NAME)):
        server.stop()
        assert not server.child.is_running
    server.start()
    assert server.answers()


def test_started_without_waiting_it_answers_after_a_while(server: PostgresServer) -> None:
    kill(server)
    server.child.start()
    eventually(server.answers)


def test_a_server_that_cannot_start_says_why(server: PostgresServer, tmp_path: Path) -> None:
    beside = PostgresServer(log=tmp_path / "beside.log", options={"port": str(server.port)})
    try:
        with pytest.raises(LedgerUnavailable, match="did not start"):
            beside.start()
    finally:
        beside.stop()
        beside.remove()


def test_nothing_is_left_of_a_folder_of_its_own(tmp_path: Path) -> None:
    server = PostgresServer(log=tmp_path / "log")
    folder = server._folder
    server.start()
    server.stop()
    server.remove()
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to ask")
def test_root_does_not_put_it_where_its_account_cannot_go(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not can_live_in(closed)
    assert can_live_in(Path("/"))
