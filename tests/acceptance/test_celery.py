"""A Celery user finds what she knows, without our package."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, chain, chord

from penstock_producer import Client, load_settings
from tests.acceptance.command import Home, foreign_app

pytestmark = pytest.mark.usefixtures("celery_garbage")

PROMPT = "What is the capital of Spain?"


@pytest.fixture
def foreign(home: Home) -> Iterator[Celery]:
    with foreign_app(home.stack["broker_url"]) as app:
        yield app


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    with Client(load_settings(home.folder)) as client:
        yield client


def infer(app: Celery, queue: str | None = "penstock.small", **kwargs: Any) -> Any:
    return app.signature("penstock.infer", kwargs=kwargs, queue=queue)


def test_a_foreign_app_sends_a_prompt_by_name(foreign: Celery, client: Client) -> None:
    sent = foreign.send_task(
        "penstock.infer", kwargs={"prompt": PROMPT, "max_tokens": 32}, queue="penstock.small"
    )
    outcome = sent.get(timeout=200)
    assert outcome == {"job_id": sent.id, "state": "succeeded"}
    result = client.fetch(sent.id)
    assert "Madrid" in (result.text or "")
    assert result.tier == "small"
    assert "queue" in result.reason


def test_without_a_queue_the_worker_routes_it(foreign: Celery, client: Client) -> None:
    sent = foreign.send_task(
        "penstock.infer",
        kwargs={"prompt": "Lan has 3 pens and buys 4 more. How many pens now?", "max_tokens": 32},
    )
    assert sent.get(timeout=200)["state"] == "succeeded"
    assert client.fetch(sent.id).tier == "large"


def test_the_celery_result_never_holds_text(foreign: Celery, client: Client) -> None:
    sent = foreign.send_task("penstock.infer", kwargs={"prompt": PROMPT}, queue="penstock.small")
    sent.get(timeout=200)
    stored = str(foreign.backend.get(foreign.backend.get_key_for_task(sent.id)))
    assert PROMPT not in stored
    assert "Madrid" not in stored


def test_an_invalid_prompt_fails_its_task_and_leaves_no_job(
    foreign: Celery, client: Client
) -> None:
    sent = foreign.send_task("penstock.infer", kwargs={"prompt": ""}, queue="penstock.small")
    error = sent.get(timeout=200, propagate=False)
    assert sent.state == "FAILURE"
    assert "empty" in str(error)
    assert client.fetch_many([sent.id]) == {}


def test_a_chain_hands_ids_on_and_the_template_takes_the_answer(
    foreign: Celery, client: Client
) -> None:
    last = chain(
        infer(foreign, prompt=PROMPT, max_tokens=32),
        infer(foreign, template="Translate to Vietnamese: {{ answer }}", max_tokens=48),
        app=foreign,
    ).apply_async()
    outcome = last.get(timeout=200)
    assert outcome["state"] == "succeeded"
    assert client.fetch(last.parent.id).text
    assert client.fetch(outcome["job_id"]).task_type == "translation"


def test_a_document_is_summarized_by_map_and_reduce(foreign: Celery, client: Client) -> None:
    parts = [
        f"Summarize: The {place} is old. Many people visit it. It opens at nine."
        for place in ("museum", "library", "market")
    ]
    last = chord(
        [infer(foreign, queue="penstock.large", prompt=part, max_tokens=48) for part in parts],
        infer(
            foreign,
            queue="penstock.large",
            template="Summarize: {{ answers | join(' ') }}",
            max_tokens=48,
        ),
        app=foreign,
    ).apply_async()
    outcome = last.get(timeout=200)
    assert outcome["state"] == "succeeded"
    result = client.fetch(outcome["job_id"])
    assert result.text
    assert result.prompt_tokens
