"""The sweeper publishes again what nobody works on, and nothing else."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from penstock_shared.broker import Publisher, Wakeup, make_app, queues_of
from penstock_shared.errors import BrokerUnavailable
from penstock_shared.ledger import accepting, sweeping
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.settings import Settings, WorkerSettings
from penstock_shared.stack.redis_server import RedisServer
from penstock_shared.words import JobState
from penstock_workers import sweeper as sweeper_module
from penstock_workers.sweeper import Sweeper
from tests.examples import NOW, Clock, accept_some, claim_some, rows, state_of
from tests.rig import BOUND_S, eventually, statements

LEASE_MS = 15_000
LATER = NOW + 3_600_000
Make = Callable[..., Settings]


class Yard:
    """A sweeper between a ledger and a Redis."""

    def __init__(self, database: Database, settings: Settings, worker: WorkerSettings) -> None:
        self.database = database
        self.clock = Clock(NOW)
        self.app = make_app(settings)
        self.worker = worker
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
            tiers=["small", "large"],
            settings=self.worker,
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
    made = Yard(database, make_settings(broker_url=redis_url), WorkerSettings(sweep_s=5.0))
    yield made
    made.close()


@pytest.fixture
def own_yard(database: Database, make_settings: Make, own_redis: RedisServer) -> Iterator[Yard]:
    """One whose Redis may be stopped, and whose sweeper does not wait long."""
    settings = make_settings(broker_url=own_redis.url)
    made = Yard(database, settings, WorkerSettings(sweep_s=0.01))
    yield made
    made.close()


def test_a_job_whose_lease_ran_out_is_published_again(yard: Yard) -> None:
    expired, alive = accept_some(yard.database, 2)
    claim_some(yard.database, [expired])
    claim_some(yard.database, [alive], worker_id="another", now_ms=NOW + 2)
    assert yard.sweep(NOW + LEASE_MS) == 0
    assert yard.sweep(NOW + LEASE_MS + 1) == 1
    assert yard.waiting() == [expired]
    assert state_of(yard.database, alive) is JobState.RUNNING


def test_who_was_cut_off_calls_nobody_lost_and_still_publishes(yard: Yard) -> None:
    running, waiting = accept_some(yard.database, 2)
    claim_some(yard.database, [running])
    yard.may_judge = False
    assert yard.sweep(NOW + LEASE_MS + 1) == 1
    assert yard.waiting() == [waiting]
    yard.may_judge = True
    assert yard.sweep(NOW + LEASE_MS + 2) == 1
    assert sorted(yard.waiting()) == sorted([waiting, running])


def test_a_job_that_lost_every_worker_dies_and_is_not_published(yard: Yard) -> None:
    [job_id] = accept_some(yard.database)
    now, published = NOW, 0
    for _ in range(yard.worker.max_attempts):
        assert claim_some(yard.database, [job_id], now_ms=now)
        now += LEASE_MS + 60_000
        yard.redis.flushall()
        published += yard.sweep(now)
        now += 60_000
        published += yard.sweep(now)
    assert state_of(yard.database, job_id) is JobState.DEAD
    assert published == yard.worker.max_attempts - 1
    assert yard.waiting() == []


def test_the_outbox_is_published_in_pages_each_job_once_and_the_oldest_first(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper_module, "_PAGE", 4)
    ids = accept_some(yard.database, 10)
    large = accept_some(yard.database, tier="large")
    assert yard.sweep(NOW + 2_001) == 11
    assert sorted(yard.waiting()) == sorted(ids)
    assert yard.waiting("large") == large
    assert {row.published_ms for row in rows(yard.database, Job)} == {NOW + 2_001}
    assert yard.sweep(NOW + 2_002) == 0
    assert len(yard.waiting()) == 10


def test_what_is_too_much_for_one_sweep_is_left_to_the_next(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper_module, "_PAGE", 2)
    monkeypatch.setattr(sweeper_module, "_PAGES", 3)
    ids = accept_some(yard.database, 8)
    assert [yard.sweep(NOW + 3_000 + turn) for turn in range(3)] == [6, 2, 0]
    assert sorted(yard.waiting()) == sorted(ids)


def test_jobs_that_were_accepted_a_moment_ago_are_left_to_their_client(yard: Yard) -> None:
    accept_some(yard.database)
    assert yard.sweep(NOW + 2_000) == 0
    assert yard.sweep(NOW + 2_001) == 1


def test_only_the_holder_of_the_duty_sweeps(yard: Yard) -> None:
    other = yard.another("two")
    assert yard.sweep(NOW) == 0
    accept_some(yard.database)
    yard.clock.now = NOW + 3_000
    assert other.sweep() == 0
    assert yard.waiting() == []
    assert yard.sweeper.sweep() == 1


def test_another_worker_takes_the_duty_over_when_its_holder_is_gone(yard: Yard) -> None:
    other = yard.another("two")
    yard.sweep(NOW)
    accept_some(yard.database)
    yard.clock.now = NOW + 15_000
    assert other.sweep() == 0
    yard.clock.now = NOW + 15_001
    assert other.sweep() == 1


def test_overdue_jobs_expire_instead_of_being_published(yard: Yard) -> None:
    [job_id] = accept_some(yard.database, deadline_ms=NOW + 3_000)
    assert yard.sweep(NOW + 3_000) == 0
    assert state_of(yard.database, job_id) is JobState.EXPIRED


def test_after_redis_lost_everything_all_jobs_are_published_again_when_a_lease_is_over(
    yard: Yard,
) -> None:
    ids = yard.publish(5) + yard.publish(2, tier="large")
    yard.redis.flushall()
    assert yard.sweep(NOW + LEASE_MS) == 0
    assert yard.sweep(NOW + LEASE_MS + 1) == 7
    assert sorted(yard.waiting() + yard.waiting("large")) == sorted(ids)


def test_a_message_that_was_taken_without_a_claim_is_published_again_when_a_lease_is_over(
    yard: Yard,
) -> None:
    taken = yard.publish(3)
    behind = yard.publish(2, now_ms=NOW + 20_000)
    for _ in taken:
        yard.redis.rpop("penstock.small")
    assert yard.waiting() == behind
    assert yard.sweep(NOW + 20_001) == 3
    assert sorted(yard.waiting()) == sorted(behind + taken)


def test_a_message_that_was_taken_a_moment_ago_is_given_the_time_of_a_lease(yard: Yard) -> None:
    yard.publish(1)
    behind = yard.publish(1, now_ms=NOW + LEASE_MS)
    yard.redis.rpop("penstock.small")
    assert yard.sweep(NOW + LEASE_MS) == 0
    assert yard.waiting() == behind


def test_a_job_that_runs_is_never_published(yard: Yard) -> None:
    [job_id] = yard.publish(1)
    yard.redis.flushall()
    claim_some(yard.database, [job_id], now_ms=LATER)
    assert yard.sweep(LATER + LEASE_MS) == 0
    assert yard.waiting() == []


def test_jobs_that_wait_in_the_queue_for_hours_are_not_published_again(yard: Yard) -> None:
    ids = yard.publish(40)
    assert yard.sweep(LATER) == 0
    assert yard.waiting() == ids


def test_jobs_that_wait_for_hours_are_not_lost_however_many_came_after_them(yard: Yard) -> None:
    ids = yard.publish(40) + yard.publish(40, now_ms=LATER - 1)
    assert yard.sweep(LATER) == 0
    assert yard.waiting() == ids


def test_a_message_that_outlived_its_job_does_not_hide_what_is_lost(yard: Yard) -> None:
    [done] = yard.publish(1)
    claim_some(yard.database, [done], now_ms=LATER)
    [lost] = yard.publish(1, now_ms=NOW + 1)
    yard.redis.lrem("penstock.small", 1, yard.redis.lindex("penstock.small", 0))  # type: ignore[arg-type]
    assert yard.waiting() == [done]
    yard.redis.rpop("penstock.small")
    assert yard.sweep(LATER) == 1
    assert yard.waiting() == [lost]


def test_foreign_messages_in_a_queue_do_no_harm(yard: Yard) -> None:
    yard.publisher.publish([Wakeup("foreign", "small")])
    accept_some(yard.database)
    assert yard.sweep(LATER) == 1


def test_a_sweep_takes_the_same_few_statements_however_many_jobs_wait(yard: Yard) -> None:
    def sweep() -> int:
        with statements(yard.database) as seen:
            assert yard.sweep(LATER) == 0
        return len(seen)

    yard.publish(5)
    few = sweep()
    yard.publish(3_000)
    assert sweep() == few
    assert few < 30
    assert len(yard.waiting()) == 3_005


def test_a_redis_that_is_away_leaves_the_outbox_as_it_is(
    own_yard: Yard, own_redis: RedisServer
) -> None:
    lost, *_ = ids = accept_some(own_yard.database, 3)
    claim_some(own_yard.database, [lost])
    own_redis.child.stop(BOUND_S)
    with pytest.raises(BrokerUnavailable):
        own_yard.sweep(LATER)
    waiting = sweeping.outbox(own_yard.database, now_ms=LATER, older_than_ms=0, limit=10)
    assert {wakeup.job_id for wakeup in waiting} == set(ids)
    own_redis.start()
    assert own_yard.sweep(LATER) == 3
    assert sorted(own_yard.waiting()) == sorted(ids)


def test_the_thread_outlives_an_outage_of_redis_and_ends_when_told(
    own_yard: Yard, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = accept_some(own_yard.database, 3)
    own_yard.clock.now = LATER
    refusals: list[BrokerUnavailable] = []
    sweep: Callable[[], int] = own_yard.sweeper.sweep

    def noting() -> Any:
        try:
            return sweep()
        except BrokerUnavailable as error:
            refusals.append(error)
            raise

    monkeypatch.setattr(own_yard.sweeper, "sweep", noting)
    own_redis.child.stop(BOUND_S)
    thread = threading.Thread(target=own_yard.sweeper.run)
    thread.start()
    try:
        eventually(lambda: len(refusals) > 1)
        own_redis.start()
        eventually(lambda: sorted(own_yard.waiting()) == sorted(ids))
    finally:
        own_yard.sweeper.stop()
        thread.join(BOUND_S)
    assert not thread.is_alive()
