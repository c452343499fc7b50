"""The stage, and the ledger that is on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from penstock_shared.stack.redis_server import RedisServer
from tests.integration.faults.staging import SmallStage


@pytest.fixture
def ledger(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def stage(
    tmp_path: Path,
    own_redis: RedisServer,
    sqlite_url: str,
    make_settings: Callable[..., Settings],
) -> Iterator[SmallStage]:
    settings = make_settings(ledger_url=sqlite_url, broker_url=own_redis.url)
    stage = SmallStage(tmp_path, settings, own_redis)
    yield stage
    stage.stop()
