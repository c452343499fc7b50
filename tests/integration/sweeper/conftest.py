"""A sweeper between a ledger and a Redis, its time in the hands of the test."""

import json
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from penstock_shared.broker import Publisher, Wakeup, make_app, queues_of
from penstock_shared.ledger import accepting
from penstock_shared.ledger.database import Database
from penstock_shared.settings import CacheSettings, Settings, WorkerSettings
from penstock_shared.stack.redis_server import RedisServer
from penstock_workers.sweeper import Sweeper
from tests.examples import NOW, Clock, accept_some

Make = Callable[..., Settings]
CAPACITY = 3  # cached answers of a tier


class Yard:
    """A sweeper between a ledger and a Redis."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.clock = Clock(NOW)
        self.app = make_app(settings)
        self.settings = settings
        self.publisher = Publisher(self.app)
        self.sweepers: list[Sweeper] = []
        self.sweeper = self.another("one")
        self.may_judge = True
        self.redis: Redis = Redis.from_url(settings.broker)

    def another(self, worker_id: str) -> Sweeper:
        """A sweeper of another worker."""
        made = Sweeper(
            worker_id,
            database=self.database,
            app=self.app,
            settings=self.settings,
            may_judge=lambda: self.may_judge,
            now_ms=self.clock,
        )
        self.sweepers.append(made)
        return made

    def sweep(self, now_ms: int) -> int:
        """One sweep at a moment."""
        self.clock.now = now_ms
        return self.sweeper.sweep()

    def publish(self, count: int, *, now_ms: int = NOW, tier: str = "small") -> list[str]:
        """Jobs that are in the ledger and in the broker's queue."""
        ids = accept_some(self.database, count, tier=tier)
        self.publisher.publish(Wakeup(job_id, tier) for job_id in ids)
        accepting.mark_published(self.database, ids, now_ms)
        return ids

    def waiting(self, tier: str = "small") -> list[str]:
        """Ids in the queue of a tier, the oldest first."""
        messages = [m for q in queues_of(tier) for m in self.redis.lrange(q, 0, -1)]
        return [json.loads(message)["headers"]["id"] for message in messages][::-1]

    def close(self) -> None:
        """Free the connections to Redis."""
        self.redis.close()
        for publisher in (self.publisher, *(sweeper._publisher for sweeper in self.sweepers)):
            publisher.close()
        self.app.close()


@pytest.fixture
def yard(database: Database, make_settings: Make, redis_url: str) -> Iterator[Yard]:
    made = Yard(
        database,
        make_settings(
            broker_url=redis_url,
            worker=WorkerSettings(sweep_s=5.0),
            cache=CacheSettings(capacity=CAPACITY),
        ),
    )
    yield made
    made.close()


@pytest.fixture
def own_yard(database: Database, make_settings: Make, own_redis: RedisServer) -> Iterator[Yard]:
    """One whose Redis may be stopped, and whose sweeper does not wait long."""
    settings = make_settings(broker_url=own_redis.url, worker=WorkerSettings(sweep_s=0.01))
    made = Yard(database, settings)
    yield made
    made.close()
