"""Structured answers, completions and embeddings, on a running stack of real vLLM."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery import Celery

from penstock_producer import Client, JobFailed, load_settings
from penstock_shared.settings import CacheSettings
from penstock_workers.encoder import Encoder
from tests.acceptance.command import Home, foreign_app

QUESTION = "Which city is the capital of France?"
SCHEMA = {"enum": ["Paris", "Rome"]}
WANTED = {"type": "json_schema", "json_schema": {"name": "a_city", "schema": SCHEMA}}
TEXTS = ["A dam holds water back.", "Đập giữ nước lại."]


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    with Client(load_settings(home.folder)) as client:
        yield client


@pytest.fixture
def foreign(home: Home) -> Iterator[Celery]:
    with foreign_app(home.stack["broker_url"]) as app:
        yield app


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load(CacheSettings().encoder)


def check(text: str | None, texts: list[str], encoder: Encoder) -> None:
    vectors = np.array(json.loads(text or ""))
    assert vectors.shape == (len(texts), encoder.dimension)
    assert np.abs(vectors - encoder.encode(texts)).max() < 1e-3


def test_an_answer_matches_its_schema_and_is_cached_for_it_alone(
    home: Home, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "city.json"
    file.write_text(json.dumps(SCHEMA))
    facts = home.submit(QUESTION, "--tier", "small", "--schema", str(file))
    assert json.loads(facts["text"]) in SCHEMA["enum"]
    assert float(facts["charge_usd"]) > 0
    again = home.submit(QUESTION, "--tier", "small", "--schema", str(file))
    assert (again["source"], again["text"]) == ("exact", facts["text"])
    other = {**WANTED, "json_schema": {"name": "a_city", "schema": {"enum": ["Rome", "Oslo"]}}}
    unlike = client.submit(QUESTION, tier="small", response_format=other).result(200)
    assert json.loads(unlike.text or "") in {"Rome", "Oslo"}
    assert not unlike.cached


def test_an_answer_that_was_cut_off_fails_and_says_what_to_do(client: Client) -> None:
    job = client.submit(QUESTION, tier="small", response_format=WANTED, max_tokens=1)
    with pytest.raises(JobFailed, match="raise max_tokens"):
        job.result(200)


def test_a_schema_that_the_engine_refuses_fails_its_job_alone(client: Client) -> None:
    schema = {"type": "string", "pattern": "(?<=a)b"}
    wanted = {**WANTED, "json_schema": {"name": "a_city", "schema": schema}}
    refused = client.submit(QUESTION, tier="small", response_format=wanted)
    neighbour = client.submit(QUESTION, tier="small", cache=False)
    with pytest.raises(JobFailed, match=r"look-around|Lookbehind"):
        refused.result(200)
    assert "Paris" in (neighbour.result(200).text or "")


def test_a_completion_goes_on_where_its_text_ends(client: Client) -> None:
    fields: dict[str, Any] = {"tier": "small", "max_tokens": 4, "ignore_eos": True}
    completion = client.submit(QUESTION, kind="completion", **fields).result(200)
    chat = client.submit(QUESTION, **fields).result(200)
    assert completion.completion_tokens == 4
    assert (completion.prompt_tokens or 0) < (chat.prompt_tokens or 0)
    assert not chat.cached


def test_an_embedding_is_what_the_encoder_says(client: Client, encoder: Encoder) -> None:
    messages = [{"role": "user", "content": text} for text in TEXTS]
    found = client.submit(messages, kind="embedding").result(200)
    check(found.text, TEXTS, encoder)
    assert (found.source, found.tier, found.charge_usd) == ("encoder", "small", 0)
    assert found.prompt_tokens == sum(encoder.token_counts(TEXTS))


def test_an_embedding_that_is_too_long_is_not_cut(client: Client) -> None:
    with pytest.raises(JobFailed, match=r"text 1 has 402 tokens and .* reads 256"):
        client.submit("dam " * 400, kind="embedding").result(200)


@pytest.mark.usefixtures("celery_garbage")
def test_a_foreign_app_has_them_too(foreign: Celery, client: Client, encoder: Encoder) -> None:
    vectors, city = (
        foreign.send_task("penstock.infer", kwargs=kwargs)
        for kwargs in (
            {"prompt": TEXTS[0], "kind": "embedding"},
            {"prompt": QUESTION, "tier": "small", "response_format": WANTED},
        )
    )
    check(client.fetch(vectors.get(timeout=200)["job_id"]).text, TEXTS[:1], encoder)
    answer = client.fetch(city.get(timeout=200)["job_id"]).text
    assert json.loads(answer or "") in SCHEMA["enum"]
