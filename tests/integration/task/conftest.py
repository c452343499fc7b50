"""The task of a worker of the tier small, on a real broker and a real ledger."""

from collections.abc import Callable, Iterator

import pytest
from celery import Celery, Task
from redis import Redis

from penstock_shared.broker import make_app
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from penstock_workers.desk import Desk
from penstock_workers.patience import Patience
from penstock_workers.task import register
from tests.integration.task.delivering import ScriptedIntake

Make = Callable[..., Settings]


@pytest.fixture
def app(make_settings: Make, redis_url: str) -> Iterator[Celery]:
    made = make_app(make_settings(broker_url=redis_url))
    yield made
    made.close()


@pytest.fixture
def intake() -> ScriptedIntake:
    return ScriptedIntake()


@pytest.fixture
def infer(app: Celery, database: Database, intake: ScriptedIntake, make_settings: Make) -> Task:
    """The task of a worker of the tier small."""
    desk = Desk(
        "small", settings=make_settings(), database=database, intake=intake, patience=Patience()
    )
    return register(app, desk)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client
