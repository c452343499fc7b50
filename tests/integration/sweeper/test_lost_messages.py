"""What the broker has lost is published again, and what only waits is not."""

from penstock_shared.broker import Wakeup
from tests.examples import LEASE, NOW, accept_some, claim_some
from tests.integration.sweeper.conftest import Yard
from tests.rig import statements

LATER = NOW + 3_600_000


def test_after_redis_lost_everything_all_jobs_are_published_again_when_a_lease_is_over(
    yard: Yard,
) -> None:
    ids = yard.publish(5) + yard.publish(2, tier="large")
    yard.redis.flushall()
    assert yard.sweep(NOW + LEASE) == 0
    assert yard.sweep(NOW + LEASE + 1) == 7
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
    behind = yard.publish(1, now_ms=NOW + LEASE)
    yard.redis.rpop("penstock.small")
    assert yard.sweep(NOW + LEASE) == 0
    assert yard.waiting() == behind


def test_a_job_that_runs_is_never_published(yard: Yard) -> None:
    [job_id] = yard.publish(1)
    yard.redis.flushall()
    claim_some(yard.database, [job_id], now_ms=LATER)
    assert yard.sweep(LATER + LEASE) == 0
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

    sweep()  # the first one also trims the cache
    yard.publish(5)
    few = sweep()
    yard.publish(3_000)
    assert sweep() == few
    assert few < 30
    assert len(yard.waiting()) == 3_005
