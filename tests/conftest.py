"""Fixtures: real services for a session, a ledger of its own for every test."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from redis import Redis

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.ledger.schema import Table
from penstock_shared.settings import Settings
from penstock_shared.stack.redis_server import RedisServer
from tests.services import PostgresServer

_STOP_S = 10.0
_TEMPLATE = "penstock_template"
_numbers = itertools.count(1)

# A slow machine is no failure, and nothing is left behind in the working folder.
hypothesis.settings.register_profile(
    "penstock",
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("penstock")


def pytest_configure(config: pytest.Config) -> None:
    """Markers of ours."""
    config.addinivalue_line("markers", "damages_schema: its ledger is of no use to other tests")


@pytest.fixture(autouse=True)
def _without_variables_of_whoever_runs_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith("PENSTOCK_"):
            monkeypatch.delenv(variable)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the session."""
    folder = tmp_path_factory.mktemp("redis")
    server = RedisServer(folder, "a-password-of-the-tests", folder / "redis.log")
    server.start()
    yield server
    server.child.stop(_STOP_S)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The session's Redis, empty."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may stop."""
    server = RedisServer(tmp_path / "redis", "another-password", tmp_path / "redis.log")
    server.start()
    yield server
    server.child.stop(_STOP_S)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for the session."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database without tables."""
    name = f"empty_{next(_numbers)}"
    yield postgres.create(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """A database with the tables, to be copied."""
    _migrate(postgres.create(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture(scope="session")
def clean_ledgers() -> list[str]:
    """Names of ledgers that a test has left and that were emptied: making one takes longer."""
    return []


@pytest.fixture
def postgres_url(
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    postgres_template: str,
    clean_ledgers: list[str],
) -> Iterator[str]:
    """A PostgreSQL ledger without jobs, which no other test uses at the same time."""
    name = clean_ledgers.pop() if clean_ledgers else f"ledger_{next(_numbers)}"
    if name not in postgres.made:
        postgres.create(name, template=postgres_template)
    yield postgres.url(name)
    if request.node.get_closest_marker("damages_schema"):
        postgres.drop(name)
    else:
        postgres.empty(name, Table.metadata.tables)
        clean_ledgers.append(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite ledger without jobs."""
    path = tmp_path / "ledger.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """A ledger without jobs, on each kind of database."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("empty_postgres_url"))


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    """An open ledger without jobs, on each kind of database."""
    opened = Database(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings whose home is a folder of this test."""

    def make(**values: object) -> Settings:
        return Settings(home=tmp_path / "home", **values)  # type: ignore[arg-type]

    return make


def _migrate(url: str) -> None:
    database = Database(url)
    try:
        migrate(database)
    finally:
        database.close()
