"""The task penstock.infer: every way in, every way out, and no text on the way."""

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from celery import Celery, Task
from celery.exceptions import Reject, Retry
from redis import Redis

from penstock_shared.broker import TASK_NAME, make_app, queue_of
from penstock_shared.errors import (
    IdempotencyConflict,
    InvalidRequest,
    JobNotFound,
    JobNotSucceeded,
    UnknownTier,
)
from penstock_shared.ledger import settling
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.settings import Settings
from penstock_shared.words import JobState
from penstock_workers.desk import Desk
from penstock_workers.intake import Intake, Requeue
from penstock_workers.patience import Patience
from penstock_workers.task import SilentRequest, register
from tests.examples import ACCOUNT, NOW, accept_some, an_answer, claim_some, rows, succeeded

CANARY = "canary-5b7e"
SHORT = "Which city is the capital of France?"
HARD = "How many are 3 + 4? Explain why, step by step, and prove it."
Make = Callable[..., Settings]


class ScriptedIntake(Intake):
    """Knows at once how every job ends."""

    def __init__(self) -> None:
        super().__init__(max_batch_size=1, max_wait_ms=0)
        self.ending: JobState | Requeue = JobState.SUCCEEDED
        self.delivered: list[str] = []

    def deliver(self, job_id: str) -> "Future[JobState]":
        self.delivered.append(job_id)
        future: Future[JobState] = Future()
        if isinstance(self.ending, Requeue):
            future.set_exception(self.ending)
        else:
            future.set_result(self.ending)
        return future


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


@contextmanager
def delivered(
    task: Task, job_id: str, queue: str = "penstock.small", **context: Any
) -> Iterator[None]:
    """As Celery does while it runs a message of this id from this queue."""
    info = {"exchange": "", "routing_key": queue}
    task.push_request(id=job_id, delivery_info=info, called_directly=False, **context)
    try:
        yield
    finally:
        task.pop_request()


def run(task: Task, job_id: str, *args: Any, queue: str = "penstock.small", **kwargs: Any) -> Any:
    with delivered(task, job_id, queue, args=list(args), kwargs=kwargs):
        return task.run(*args, **kwargs)


def answered(database: Database, text: str) -> str:
    """A job with this answer."""
    [claim] = claim_some(database, accept_some(database))
    settling.settle(database, ACCOUNT, [succeeded(claim, answer=an_answer(text))], NOW)
    return claim.job_id


def outcome_of(job_id: str) -> dict[str, str]:
    return {"job_id": job_id, "state": "succeeded"}


def sent(redis: Redis, tier: str) -> list[dict[str, Any]]:
    """The messages in a tier's queue."""
    return [json.loads(message) for message in redis.lrange(queue_of(tier), 0, -1)]


def test_a_wake_up_delivers_the_job_that_is_in_the_ledger(
    infer: Task, intake: ScriptedIntake, database: Database
) -> None:
    assert run(infer, "a-job") == outcome_of("a-job")
    assert intake.delivered == ["a-job"]
    assert rows(database, Job) == []


def test_a_prompt_enters_the_ledger_under_the_tasks_id(
    infer: Task, intake: ScriptedIntake, database: Database
) -> None:
    run(infer, "foreign-1", prompt=SHORT, max_tokens=7, tenant="them")
    [job] = rows(database, Job)
    assert (job.id, job.tier, job.tenant, job.state) == ("foreign-1", "small", "them", "queued")
    assert SHORT in job.request
    assert job.published_ms is not None
    assert intake.delivered == ["foreign-1"]


def test_a_repeated_message_enters_the_ledger_once(
    infer: Task, intake: ScriptedIntake, database: Database
) -> None:
    run(infer, "foreign-1", prompt=SHORT)
    run(infer, "foreign-1", prompt=SHORT)
    assert len(rows(database, Job)) == 1
    assert intake.delivered == ["foreign-1"] * 2


def test_messages_enter_the_ledger(infer: Task, database: Database) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": SHORT}]
    run(infer, "foreign-1", messages=messages)
    [job] = rows(database, Job)
    assert json.loads(job.request)["messages"] == messages


def test_a_template_takes_the_answer_before_it(infer: Task, database: Database) -> None:
    before = answered(database, "Paris & Lyon")
    run(infer, "foreign-1", outcome_of(before), template="Translate: {{ answer }}")
    assert "Translate: Paris & Lyon" in rows(database, Job, Job.id == "foreign-1")[0].request


def test_a_template_takes_all_answers_of_a_chord_in_order(infer: Task, database: Database) -> None:
    before = [answered(database, text) for text in ("one", "two", "three")]
    upstream = [outcome_of(job_id) for job_id in reversed(before)]
    run(infer, "foreign-1", upstream, template="Join: {{ answers | join('+') }}")
    assert "three+two+one" in rows(database, Job, Job.id == "foreign-1")[0].request


@pytest.mark.parametrize(
    "template",
    [
        "{{ answer",
        "{{ unknown }}",
        "{{ answers[7] }}",
        "{{ answer.__class__.__mro__ }}",
        "{{ 1 / 0 }}",
        "{{ answer + 1 }}",
        "{{ {}[answer] }}",
        "{{ [].index(answer) }}",
        "{{ range(10 ** 9) }}",
    ],
)
def test_a_template_that_cannot_be_filled_is_an_invalid_request_without_its_text(
    infer: Task, database: Database, template: str
) -> None:
    before = answered(database, CANARY)
    with pytest.raises(InvalidRequest, match="template cannot be filled") as refusal:
        run(infer, "foreign-1", outcome_of(before), template=template + CANARY)
    assert CANARY not in str(refusal.value)
    assert refusal.value.__suppress_context__
    assert rows(database, Job, Job.id == "foreign-1") == []


@pytest.mark.parametrize("upstream", [None, "text", [], {"other": 1}, [{"job_id": "a"}, "text"]])
def test_a_template_without_results_before_it_is_an_invalid_request(
    infer: Task, upstream: object
) -> None:
    with pytest.raises(InvalidRequest, match="before it in the chain"):
        run(infer, "foreign-1", upstream, template="{{ answer }}")


def test_a_template_over_a_job_without_an_answer_says_which(
    infer: Task, database: Database
) -> None:
    [queued] = accept_some(database)
    with pytest.raises(JobNotFound, match=queued):
        run(infer, "foreign-1", {"job_id": queued}, template="{{ answer }}")


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"prompt": "hello", "max_tokens": 0},
        {"prompt": "hello", "colour": "red"},
        {"messages": []},
        {"messages": [{"role": "nobody", "content": CANARY}]},
    ],
)
def test_an_invalid_request_leaves_no_job(
    infer: Task, intake: ScriptedIntake, database: Database, fields: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        run(infer, "foreign-1", **fields)
    assert CANARY not in str(refusal.value)
    assert rows(database, Job) == intake.delivered == []


def test_a_task_id_that_is_too_long_is_an_invalid_request(infer: Task) -> None:
    with pytest.raises(InvalidRequest, match="task id"):
        run(infer, "x" * 65, prompt=SHORT)


def test_an_idempotency_key_with_another_request_is_a_conflict(infer: Task) -> None:
    run(infer, "foreign-1", prompt=SHORT, idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        run(infer, "foreign-2", prompt=HARD, idempotency_key="k")


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


def test_forwarding_tells_no_text_to_those_who_watch_events(infer: Task, app: Celery) -> None:
    seen: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"task-sent": seen.append})
        with receiver.consumer_context() as (watching, _, _):
            with suppress(TimeoutError):  # the first look subscribes
                watching.drain_events(timeout=0.1)
            with pytest.raises(Retry):
                run(infer, "foreign-1", prompt=f"{HARD} {CANARY}", queue="celery")
            watching.drain_events(timeout=10)
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


def test_a_delivered_message_shows_its_arguments_to_nobody(infer: Task, app: Celery) -> None:
    infer.apply_async([{"upstream": CANARY}], {"prompt": CANARY}, queue="penstock.small")
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
