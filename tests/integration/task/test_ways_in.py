"""The ways into the task penstock.infer: wake-ups, prompts, templates, and what is refused."""

import json
from typing import Any

import pytest
from celery import Task

from penstock_shared.errors import IdempotencyConflict, InvalidRequest, JobNotFound
from penstock_shared.ledger import settling
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from tests.examples import ACCOUNT, NOW, accept_some, an_answer, claim_some, rows, succeeded
from tests.integration.task.delivering import (
    CANARY,
    HARD,
    SHORT,
    ScriptedIntake,
    outcome_of,
    run,
)


def answered(database: Database, text: str) -> str:
    """A job with this answer."""
    [claim] = claim_some(database, accept_some(database))
    settling.settle(database, ACCOUNT, [succeeded(claim, answer=an_answer(text))], NOW)
    return claim.job_id


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


def test_a_kind_and_a_response_format_enter_the_ledger(infer: Task, database: Database) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    run(infer, "foreign-1", prompt=SHORT, kind="completion", response_format=wanted)
    [job] = rows(database, Job)
    stored = json.loads(job.request)
    assert (stored["kind"], stored["response_format"]) == ("completion", wanted)


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
        {"prompt": "hello", "kind": "picture"},
        {"prompt": "hello", "response_format": {"type": "xml"}},
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
