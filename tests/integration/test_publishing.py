"""Messages in Redis are wake-ups: a job id in its tier's queue, and not a word of anybody."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from penstock_producer import Client
from penstock_shared.broker import TASK_NAME, Publisher, Wakeup, make_app, queues_of, tier_of
from penstock_shared.errors import BrokerUnavailable
from penstock_shared.settings import Settings
from penstock_shared.stack.processes import free_port
from penstock_shared.stack.redis_server import RedisServer

CANARY = "canary-9d1c"
TOLD_S = 30.0  # without a limit, it would be tried for ever
Make = Callable[..., Settings]


def everything_in(redis: "Redis[bytes]") -> bytes:
    """All keys and values, with what is packed in base64 unpacked."""
    found = b""
    for key in redis.scan_iter("*"):
        found += key + b"\n" + (redis.dump(key) or b"") + b"\n"
        if redis.type(key) == b"list":
            for message in redis.lrange(key, 0, -1):
                found += message + base64.b64decode(json.loads(message)["body"])
    return found


def queue(redis: "Redis[bytes]", name: str) -> list[dict[str, Any]]:
    """The messages of a queue, the oldest first."""
    return [json.loads(message) for message in redis.lrange(name, 0, -1)][::-1]


def test_each_wake_up_lands_in_its_tiers_queue_in_order(
    make_settings: Make, redis_url: str
) -> None:
    publisher = Publisher(make_app(make_settings(broker_url=redis_url)))
    publisher.publish([Wakeup("a", "small"), Wakeup("b", "large"), Wakeup("c", "small")])
    with Redis.from_url(redis_url) as redis:
        ids = {
            name: [message["headers"]["id"] for message in queue(redis, f"penstock.{name}")]
            for name in ("small", "large", "medium")
        }
    assert ids == {"small": ["a", "c"], "large": ["b"], "medium": []}


def test_a_message_is_a_celery_task_without_arguments(make_settings: Make, redis_url: str) -> None:
    Publisher(make_app(make_settings(broker_url=redis_url))).publish([Wakeup("a", "small")])
    with Redis.from_url(redis_url) as redis:
        [message] = queue(redis, "penstock.small")
    assert message["headers"]["task"] == TASK_NAME
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert (args, kwargs) == ([], {})


def test_no_prompt_tenant_or_metadata_is_in_redis(
    make_settings: Make, redis_url: str, sqlite_url: str
) -> None:
    with Client(make_settings(broker_url=redis_url, ledger_url=sqlite_url)) as client:
        jobs = client.submit_many(
            [f"my secret is {CANARY}"] * 20,
            tenant=CANARY,
            workflow=CANARY,
            metadata={"secret": CANARY},
        )
    with Redis.from_url(redis_url) as redis:
        stored = everything_in(redis)
    assert jobs[7].id.encode() in stored
    assert CANARY.encode() not in stored


def test_a_thousand_wake_ups_take_a_moment(make_settings: Make, redis_url: str) -> None:
    publisher = Publisher(make_app(make_settings(broker_url=redis_url)))
    publisher.publish(Wakeup(str(number), "small") for number in range(1000))
    with Redis.from_url(redis_url) as redis:
        assert redis.llen("penstock.small") == 1000


def test_publishing_nothing_says_nothing(make_settings: Make, redis_url: str) -> None:
    Publisher(make_app(make_settings(broker_url=redis_url))).publish([])
    with Redis.from_url(redis_url) as redis:
        assert redis.keys("penstock*") == []


def test_a_broker_that_is_away_is_told_within_seconds_and_without_its_password(
    make_settings: Make,
) -> None:
    port = free_port()
    settings = make_settings(broker_url=f"redis://:{CANARY}@127.0.0.1:{port}/0")
    publisher, start = Publisher(make_app(settings)), time.monotonic()
    with pytest.raises(BrokerUnavailable) as refusal:
        publisher.publish([Wakeup("a", "small")])
    assert time.monotonic() - start < TOLD_S
    assert str(port) in refusal.value.message
    assert "penstock up" in refusal.value.message
    assert CANARY not in refusal.value.message


def test_a_broker_that_stops_between_two_publishes_is_told_and_comes_back(
    make_settings: Make, own_redis: RedisServer
) -> None:
    publisher = Publisher(make_app(make_settings(broker_url=own_redis.url)))
    publisher.publish([Wakeup("a", "small")])
    own_redis.child.stop(10)
    start = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        publisher.publish([Wakeup("b", "small")])
    assert time.monotonic() - start < TOLD_S
    own_redis.start()
    publisher.publish([Wakeup("c", "small")])
    with Redis.from_url(own_redis.url) as redis:
        assert "c" in [message["headers"]["id"] for message in queue(redis, "penstock.small")]


def test_a_job_that_was_lost_has_a_queue_of_its_own(make_settings: Make, redis_url: str) -> None:
    publisher = Publisher(make_app(make_settings(broker_url=redis_url)))
    publisher.publish([Wakeup("first", "small"), Wakeup("lost", "small", again=True)])
    with Redis.from_url(redis_url) as redis:
        ids = {q: [m["headers"]["id"] for m in queue(redis, q)] for q in queues_of("small")}
    assert ids == {"penstock.small": ["first"], "penstock.small.again": ["lost"]}
    assert [tier_of(name) for name in (*ids, "celery")] == ["small", "small", None]
