"""The sweeper publishes again what nobody works on, one worker at a time, and outlives Redis."""

import threading
from collections.abc import Callable

import pytest

from penstock_shared.ledger import settling, sweeping
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.schema import Job
from penstock_shared.stack.redis_server import RedisServer
from penstock_shared.words import BatchState, JobState
from penstock_workers import sweeper as sweeper_module
from tests.batches import plain_batch, take
from tests.examples import (
    ACCOUNT,
    LEASE,
    NOW,
    accept_some,
    claim_some,
    open_books,
    rows,
    state_of,
    succeeded,
)
from tests.integration.sweeper.conftest import Yard
from tests.rig import BOUND_S, eventually, statements

LATER = NOW + 3_600_000


def test_a_job_whose_lease_ran_out_is_published_again(yard: Yard) -> None:
    expired, alive = accept_some(yard.database, 2)
    claim_some(yard.database, [expired])
    claim_some(yard.database, [alive], worker_id="another", now_ms=NOW + 2)
    assert yard.sweep(NOW + LEASE) == 0
    assert yard.sweep(NOW + LEASE + 1) == 1
    assert yard.waiting() == [expired]
    assert state_of(yard.database, alive) is JobState.RUNNING


def test_who_was_cut_off_calls_nobody_lost_and_still_publishes(yard: Yard) -> None:
    running, waiting = accept_some(yard.database, 2)
    claim_some(yard.database, [running])
    yard.may_judge = False
    assert yard.sweep(NOW + LEASE + 1) == 1
    assert yard.waiting() == [waiting]
    yard.may_judge = True
    assert yard.sweep(NOW + LEASE + 2) == 1
    assert sorted(yard.waiting()) == sorted([waiting, running])


def test_a_job_that_lost_every_worker_dies_and_is_not_published(yard: Yard) -> None:
    [job_id] = accept_some(yard.database)
    now, published, losses = NOW, 0, 4 * yard.settings.worker.max_attempts
    for _ in range(losses):
        assert claim_some(yard.database, [job_id], now_ms=now)
        now += LEASE + 60_000
        yard.redis.flushall()
        published += yard.sweep(now)
        now += 60_000
        published += yard.sweep(now)
    assert state_of(yard.database, job_id) is JobState.DEAD
    assert published == losses - 1
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


def test_a_redis_that_is_away_leaves_the_outbox_as_it_is(
    own_yard: Yard, own_redis: RedisServer
) -> None:
    lost, *_ = ids = accept_some(own_yard.database, 3)
    claim_some(own_yard.database, [lost])
    own_redis.child.stop(BOUND_S)
    assert own_yard.sweep(LATER) == 0
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
    sweeps: list[int] = []
    sweep: Callable[[], int] = own_yard.sweeper.sweep
    monkeypatch.setattr(own_yard.sweeper, "sweep", lambda: sweeps.append(sweep()))
    own_redis.child.stop(BOUND_S)
    thread = threading.Thread(target=own_yard.sweeper.run)
    thread.start()
    try:
        eventually(lambda: len(sweeps) > 1)
        own_redis.start()
        eventually(lambda: sorted(own_yard.waiting()) == sorted(ids))
    finally:
        own_yard.sweeper.stop()
        thread.join(BOUND_S)
    assert not thread.is_alive()


def test_overdue_jobs_are_ended_in_pages_all_of_them_in_one_sweep(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper_module, "_PAGE", 2)
    ids = accept_some(yard.database, 5, deadline_ms=NOW + 3_000)
    with statements(yard.database) as seen:
        yard.sweep(NOW + 3_000)
    assert {state_of(yard.database, job_id) for job_id in ids} == {JobState.EXPIRED}
    assert sum(statement.startswith("UPDATE jobs SET state") for statement in seen) == 3


def test_documents_and_batches_do_not_wait_for_a_redis_that_is_away(
    own_yard: Yard, own_redis: RedisServer
) -> None:
    open_books(own_yard.database)
    batch = plain_batch(own_yard.database, 1)
    [claim] = take(own_yard.database)
    settling.settle(own_yard.database, ACCOUNT, [succeeded(claim)], NOW)
    accept_some(own_yard.database)
    own_redis.child.stop(BOUND_S)
    own_yard.sweep(LATER)
    assert records.get(own_yard.database, batch.id).state is BatchState.COMPLETED


def test_a_step_that_fails_is_named_and_the_others_are_done(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    [waiting] = accept_some(yard.database)
    monkeypatch.setattr(sweeping, "expire_overdue", None)  # it cannot be called
    assert yard.sweep(LATER) == 1
    assert yard.waiting() == [waiting]
    assert "expiring overdue jobs" in caplog.text
