"""Embeddings are answered by the encoder, beside the engine, together and for nothing."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock_shared.ledger import accepting, reading
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, CacheEntry, Charge, Job
from penstock_shared.words import JobState, Source
from penstock_workers.encoder import BATCH
from tests.examples import NOW, Clock, a_completion, a_draft, lose_workers, rows, state_of
from tests.rig import BOUND_S, Rig, accept, statements


class LetterEncoder:
    """A text points where its letters do; one token a word; the word cursed breaks it."""

    name, identity, dimension = "letters", "letters@1", 3
    max_tokens: int | None = 8

    def __init__(self) -> None:
        self.passes: list[int] = []

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def encode(self, questions: Sequence[str]) -> NDArray[np.float32]:
        self.passes.append(len(questions))
        if any("cursed" in text for text in questions):
            raise ZeroDivisionError(questions)
        rows = [[len(text), text.count("a"), 1 / 3] for text in questions]
        vectors = np.array(rows, dtype=np.float32)
        normalized: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return normalized


def accept_texts(database: Database, *jobs: Sequence[str], **fields: Any) -> list[str]:
    drafts = [
        a_draft([{"role": "user", "content": text} for text in texts], kind="embedding", **fields)  # type: ignore[arg-type]
        for texts in jobs
    ]
    outcomes = accepting.accept(database, drafts, NOW)
    return [outcome.job_id for outcome in outcomes if isinstance(outcome, Accepted)]


@pytest.fixture
def encoder() -> LetterEncoder:
    return LetterEncoder()


@pytest.fixture
def rig(database: Database, encoder: LetterEncoder) -> Rig:
    return Rig(database, encoder_of=lambda: encoder)


def test_the_answer_is_a_list_of_vectors_for_nothing(
    rig: Rig, database: Database, encoder: LetterEncoder
) -> None:
    texts = ["a dam", "a banana as well"]
    [job_id] = accept_texts(database, texts)
    [future] = rig.admit(job_id)
    rig.embed()
    assert future.result(BOUND_S) is JobState.SUCCEEDED
    found = reading.fetch_one(database, job_id)
    vectors = np.array(json.loads(found.text or ""), dtype=np.float32)
    assert (vectors == encoder.encode(texts)).all()
    assert (found.source, found.cached, found.model) == (Source.ENCODER, False, "letters")
    assert (found.prompt_tokens, found.completion_tokens) == (6, 0)
    assert (found.charge_usd, found.finish_reason) == (0, "stop")
    assert "letters@1" in (found.source_detail or "")
    assert rig.in_engine == []


def test_an_admission_batch_is_encoded_in_one_pass(
    rig: Rig, database: Database, encoder: LetterEncoder
) -> None:
    ids = accept_texts(database, *([f"text {n}", "and another"] for n in range(16)))
    rig.admit(*ids)
    rig.embed()
    assert encoder.passes == [32]
    assert {state_of(database, job_id) for job_id in ids} == {JobState.SUCCEEDED}


def test_many_texts_are_encoded_in_passes_between_which_others_may_encode(
    rig: Rig, database: Database, encoder: LetterEncoder
) -> None:
    rig.admit(*accept_texts(database, [f"text {n}" for n in range(2 * BATCH + 1)]))
    rig.embed()
    assert encoder.passes == [BATCH, BATCH, 1]


def test_long_jobs_are_settled_one_after_the_other(
    rig: Rig, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    settle = rig.settlements.add_ended
    monkeypatch.setattr(
        rig.embeddings, "_settle", lambda ended: (sizes.append(len(ended)), settle(ended))
    )
    texts = [f"text {n}" for n in range(8 * BATCH)]
    ids = accept_texts(database, texts, texts, ["a dam"], ["a weir"])
    rig.admit(*ids)
    rig.embed()
    assert [size for size in sizes if size] == [1, 1, 2]
    assert {state_of(database, job_id) for job_id in ids} == {JobState.SUCCEEDED}


def test_embeddings_and_questions_of_one_batch_go_their_own_ways(
    rig: Rig, database: Database
) -> None:
    [embedding], [question] = accept_texts(database, ["a dam"]), accept(database, "a dam")
    rig.admit(embedding, question)
    assert rig.in_engine == [question]
    rig.embed()
    rig.settle(a_completion(question))
    assert reading.fetch_one(database, embedding).source is Source.ENCODER
    assert reading.fetch_one(database, question).source is Source.ENGINE


def test_an_embedding_leaves_the_cache_and_its_flights_alone(database: Database) -> None:
    encoder = LetterEncoder()
    rig = Rig(database, encoder=encoder)
    ids = accept_texts(database, ["a dam"], ["a dam"])
    with statements(database) as seen:
        rig.admit(*ids)
        rig.embed()
    assert not [statement for statement in seen if "cache_entries" in statement]
    assert rows(database, CacheEntry) == []
    assert {reading.fetch_one(database, job_id).source for job_id in ids} == {Source.ENCODER}
    assert encoder.passes == [2]


def test_a_text_that_is_too_long_fails_with_limit_and_count_and_its_neighbours_go_on(
    rig: Rig, database: Database
) -> None:
    long, short = accept_texts(database, ["short", "word " * 9], ["short"])
    rig.admit(long, short)
    rig.embed()
    assert state_of(database, short) is JobState.SUCCEEDED
    failed = reading.fetch_one(database, long)
    assert failed.status is JobState.FAILED
    assert "text 2 has 9 tokens and the encoder 'letters' reads 8" in (failed.error or "")


def test_an_encoder_without_a_limit_takes_every_length(
    rig: Rig, database: Database, encoder: LetterEncoder
) -> None:
    encoder.max_tokens = None
    [job_id] = accept_texts(database, ["word " * 900])
    rig.admit(job_id)
    rig.embed()
    assert state_of(database, job_id) is JobState.SUCCEEDED


def test_one_text_that_cannot_be_encoded_costs_its_neighbours_nothing(
    rig: Rig, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad, other = ids = accept_texts(database, ["a dam"], ["cursed secret"], ["a weir"])
    rig.admit(*ids)
    rig.embed()
    assert state_of(database, good) is state_of(database, other) is JobState.SUCCEEDED
    error = reading.fetch_one(database, bad).error or ""
    assert "cannot encode it (ZeroDivisionError)" in error
    assert "secret" not in error + caplog.text


def test_an_encoder_that_cannot_be_loaded_fails_the_job_with_the_reason(
    database: Database,
) -> None:
    encoders: list[Any] = [LetterEncoder(), OSError("no such folder")]

    def load() -> Any:
        found = encoders.pop()
        if isinstance(found, Exception):
            raise found
        return found

    rig = Rig(database, encoder_of=load)
    first, second = accept_texts(database, ["a dam"], ["a weir"])
    rig.admit(first)
    rig.embed()
    error = reading.fetch_one(database, first).error or ""
    assert error == "the encoder 'an-encoder' cannot be loaded: no such folder"
    rig.admit(second)
    rig.embed()
    assert state_of(database, second) is JobState.SUCCEEDED


def test_an_embedding_past_its_deadline_expires(database: Database) -> None:
    clock, encoder = Clock(NOW), LetterEncoder()
    rig = Rig(database, clock=clock, encoder_of=lambda: encoder)
    [job_id] = accept_texts(database, ["a dam"], deadline_ms=NOW + 5)
    rig.admit(job_id)
    clock.now = NOW + 5
    rig.embed()
    assert state_of(database, job_id) is JobState.EXPIRED
    assert encoder.passes == []


def test_vectors_that_come_too_late_are_not_kept(rig: Rig, database: Database) -> None:
    [job_id] = accept_texts(database, ["a dam"])
    rig.admit(job_id)
    lose_workers(database)
    rig.embed()
    assert state_of(database, job_id) is JobState.QUEUED
    assert rows(database, Charge) == []


def test_a_worker_that_stops_leaves_its_embeddings_to_be_given_back(
    rig: Rig, database: Database, encoder: LetterEncoder
) -> None:
    [job_id] = accept_texts(database, ["a dam"])
    rig.admit(job_id)
    rig.embeddings.stop(cut_short=True)
    rig.embeddings.run()
    assert encoder.passes == []
    rig.unfinished.give_back(rig.held.claims())
    assert state_of(database, job_id) is JobState.QUEUED
    assert {row.attempts for row in rows(database, Job)} == {0}
    assert {row.outcome for row in rows(database, Attempt)} == {"released"}
