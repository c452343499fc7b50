"""The ways out of the task penstock.infer: to a tier, to an outcome, and never with text."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from celery import Celery, Task
from celery.exceptions import Reject, Retry
from redis import Redis

from penstock_shared.broker import TASK_NAME
from penstock_shared.errors import JobNotSucceeded, UnknownTier
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.words import JobState
from penstock_workers.intake import Requeue
from penstock_workers.task import SilentRequest
from tests.examples import rows
from tests.integration.task.delivering import (
    CANARY,
    HARD,
    SHORT,
    ScriptedIntake,
    delivered,
    run,
    sent,
)
from tests.rig import BOUND_S, eventually


def test_the_queue_that_a_prompt_came_in_is_its_tier(infer: Task, database: Database) -> None:
    run(infer, "foreign-1", prompt=HARD)
    assert rows(database, Job)[0].tier == "small"


def test_a_prompt_from_the_default_queue_is_routed(infer: Task, database: Database) -> None:
    run(infer, "foreign-1", prompt=SHORT, queue="celery")
    assert rows(database, Job)[0].tier == "small"


def test_an_unknown_queue_of_ours_is_an_unknown_tier(infer: Task) -> None:
    with pytest.raises(UnknownTier):
        run(infer, "foreign-1", prompt=SHORT, queue="penstock.huge")


def test_a_prompt_for_another_tier_is_sent_to_that_tiers_queue_under_its_id(
    infer: Task, intake: ScriptedIntake, database: Database, redis: Redis
) -> None:
    with pytest.raises(Retry):
        run(infer, "foreign-1", prompt=HARD, queue="celery")
    assert rows(database, Job)[0].tier == "large"
    assert intake.delivered == []
    [message] = sent(redis, "large")
    assert message["headers"]["id"] == "foreign-1"
    assert message["headers"]["task"] == TASK_NAME
    assert sent(redis, "small") == []


def test_forwarding_repeats_no_text_beside_the_body(infer: Task, redis: Redis) -> None:
    with pytest.raises(Retry):
        run(infer, "foreign-1", {"upstream": CANARY}, prompt=f"{HARD} {CANARY}", queue="celery")
    [message] = sent(redis, "large")
    assert CANARY.encode() in base64.b64decode(message.pop("body"))
    assert CANARY not in json.dumps(message)


def test_forwarding_tells_no_text_to_those_who_watch_events(
    infer: Task, app: Celery, redis: Redis
) -> None:
    seen: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"task-sent": seen.append})
        with receiver.consumer_context() as (watching, _, _):
            with suppress(TimeoutError):  # the first look subscribes
                watching.drain_events(timeout=0.1)
            eventually(lambda: redis.pubsub_numpat() or redis.pubsub_channels("*celeryev*"))
            with pytest.raises(Retry):
                run(infer, "foreign-1", prompt=f"{HARD} {CANARY}", queue="celery")
            watching.drain_events(timeout=BOUND_S)
    [event] = seen
    assert event["uuid"] == "foreign-1"
    assert CANARY not in json.dumps(event, default=str)


@pytest.mark.parametrize(
    "state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED, JobState.DEAD]
)
def test_a_job_without_an_answer_fails_its_task(
    infer: Task, intake: ScriptedIntake, state: JobState
) -> None:
    intake.ending = state
    with pytest.raises(JobNotSucceeded, match=f"a-job {state.value}"):
        run(infer, "a-job")


def test_a_worker_that_stops_returns_the_message_to_its_queue(
    infer: Task, intake: ScriptedIntake
) -> None:
    intake.ending = Requeue()
    with pytest.raises(Reject) as rejection:
        run(infer, "a-job")
    assert rejection.value.requeue


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_a_wake_up_of_an_open_job_is_done_because_the_ledger_looks_after_it(
    infer: Task, intake: ScriptedIntake, redis: Redis, state: JobState
) -> None:
    intake.ending = state
    with delivered(infer, "a-job", ignore_result=True):
        assert infer.run() == {"job_id": "a-job", "state": state.value}
    assert sent(redis, "small") == []


def test_somebody_who_waits_for_an_open_job_keeps_the_message_alive(
    infer: Task, intake: ScriptedIntake, redis: Redis
) -> None:
    intake.ending = JobState.RUNNING
    with (
        delivered(infer, "a-job", ignore_result=False, args=[], kwargs={"prompt": CANARY}),
        pytest.raises(Retry),
    ):
        infer.run()
    [message] = sent(redis, "small")
    assert message["headers"]["id"] == "a-job"
    assert message["headers"]["retries"] == 1
    assert message["headers"]["eta"] is not None
    message.pop("body")
    assert CANARY not in json.dumps(message)


def test_a_task_that_waits_for_an_open_job_may_be_repeated_without_end(
    infer: Task, intake: ScriptedIntake
) -> None:
    intake.ending = JobState.RUNNING
    with (
        delivered(infer, "a-job", ignore_result=False, args=[], kwargs={}, retries=100_000),
        pytest.raises(Retry),
    ):
        infer.run()


def test_a_message_of_ours_carries_no_arguments_beside_its_body(infer: Task, app: Celery) -> None:
    infer.apply_async([{"upstream": CANARY}], {"prompt": CANARY}, queue="penstock.small")
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("penstock.small", no_ack=True)
    assert CANARY in str(message.payload)
    assert CANARY not in str([message.headers, message.properties])


def test_a_delivered_message_shows_its_arguments_to_nobody(
    infer: Task, app: Celery, redis_url: str
) -> None:
    with Celery(broker=redis_url, set_as_current=False) as foreign:
        foreign.send_task(
            "penstock.infer", [{"upstream": CANARY}], {"prompt": CANARY}, queue="penstock.small"
        )
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        message = channel.basic_get("penstock.small", no_ack=True)
        assert CANARY in str(message.headers)
        headers = {**message.headers}
        request = SilentRequest(message, app=app, task=infer, headers=headers)
    assert (request.argsrepr, request.kwargsrepr) == ("", "")
    assert CANARY not in str([repr(request), request.info(), request.info(safe=True)])
    assert (request.request_dict["argsrepr"], request.request_dict["kwargsrepr"]) == ("", "")
    assert request.info()["id"] == request.id
