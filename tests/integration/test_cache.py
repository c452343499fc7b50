"""The cache of one tier: exact hits, verified neighbours, and nothing across a border."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock_shared.ledger import settling
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.settings import CacheSettings
from penstock_shared.words import Source
from penstock_workers.cache.cache import Cache, Hit, Lookup
from tests.examples import (
    ACCOUNT,
    IDENTITY,
    NOW,
    Clock,
    a_claim,
    accept_some,
    an_answer,
    claim_some,
    succeeded,
)


class LetterEncoder:
    """Counts letters: the same letters in any order or case are the same vector."""

    name = identity = "letters"
    dimension = 128

    def __init__(self) -> None:
        self.passes: list[int] = []

    def encode(self, questions: Sequence[str]) -> NDArray[np.float32]:
        self.passes.append(len(questions))
        vectors = np.zeros((len(questions), self.dimension), dtype=np.float32)
        for row, question in enumerate(questions):
            for letter in question.lower():
                if letter.isalnum():
                    vectors[row, ord(letter) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def encoder() -> LetterEncoder:
    return LetterEncoder()


@pytest.fixture
def cache(database: Database, encoder: LetterEncoder, clock: Clock) -> Cache:
    return a_cache(database, encoder, clock)


def a_cache(
    database: Database, encoder: LetterEncoder | None, clock: Clock, **settings: Any
) -> Cache:
    return Cache(
        database,
        CacheSettings(max_question_chars=200, ttl_s=60, **settings),
        tier="small",
        identity=IDENTITY,
        encoder=encoder,  # type: ignore[arg-type]
        now_ms=clock,
    )


def store(database: Database, cache: Cache, prompt: str, /, **fields: Any) -> Lookup:
    """Ask, answer and store, as a worker does."""
    return store_lookup(database, cache, a_claim(prompt, **fields))


def store_lookup(database: Database, cache: Cache, claim: Claim) -> Lookup:
    """The same for a claim."""
    [lookup] = cache.lookup([claim])
    [held] = claim_some(database, accept_some(database))
    entry = cache.new_entry(lookup, model="a-model")
    answer = an_answer(f"answer to {claim.request.question}")
    settling.settle(database, ACCOUNT, [succeeded(held, answer=answer, entry=entry)], NOW)
    return lookup


def ask(cache: Cache, prompt: str, /, **fields: Any) -> Hit | None:
    [lookup] = cache.lookup([a_claim(prompt, **fields)])
    return lookup.hit


def test_the_same_prompt_is_answered_at_once(database: Database, cache: Cache) -> None:
    store(database, cache, "What is a dam?")
    hit = ask(cache, "What is  a dam? ")
    assert hit is not None
    assert (hit.source, hit.entry.text) == (Source.EXACT, "answer to What is a dam?")


def test_another_wording_is_answered_once_the_vectors_are_taken_up(
    database: Database, cache: Cache
) -> None:
    store(database, cache, "What is a dam?")
    assert ask(cache, "what is a dam") is None
    cache.refresh()
    hit = ask(cache, "what is a dam")
    assert hit is not None
    assert (hit.source, hit.entry.text) == (Source.SEMANTIC, "answer to What is a dam?")
    assert "cosine 1.000" in hit.reason


def test_a_neighbour_that_asks_something_else_is_no_hit(database: Database, cache: Cache) -> None:
    store(database, cache, "Convert 5 feet to meters")
    cache.refresh()
    assert ask(cache, "Convert 5 meters to feet") is None


def test_a_second_cache_of_the_tier_takes_up_what_the_first_has_stored(
    database: Database, cache: Cache, encoder: LetterEncoder, clock: Clock
) -> None:
    another = a_cache(database, encoder, clock)
    store(database, cache, "What is a dam?")
    another.refresh()
    store(database, cache, "What is a weir?")
    another.refresh()
    assert ask(another, "what is a dam")
    assert ask(another, "what is a weir")


@pytest.mark.parametrize(
    "border",
    [
        {"tenant": "another"},
        {"max_tokens": 9},
        {"stop": ["."]},
        {"cache": False},
        {"temperature": 0.5},
    ],
    ids=lambda border: next(iter(border)),
)
@pytest.mark.parametrize("wording", ["What is a dam?", "what is a dam"])
def test_nothing_crosses_a_border(
    database: Database, cache: Cache, border: dict[str, Any], wording: str
) -> None:
    store(database, cache, "What is a dam?")
    cache.refresh()
    assert ask(cache, wording)
    assert ask(cache, wording, **border) is None


def test_a_different_system_prompt_or_history_is_a_miss(database: Database, cache: Cache) -> None:
    store(database, cache, "What is a dam?")
    cache.refresh()
    for role in ("system", "assistant"):
        messages = [
            {"role": role, "content": "You are a beaver."},
            {"role": "user", "content": "What is a dam?"},
        ]
        assert cache.lookup([a_claim(messages)])[0].hit is None  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [{"cache": False}, {"temperature": 0.5}])
def test_what_may_not_be_read_is_not_stored_either(
    database: Database, cache: Cache, fields: dict[str, Any]
) -> None:
    lookup = store(database, cache, "What is a dam?", **fields)
    assert cache.new_entry(lookup, model="a-model") is None
    assert ask(cache, "What is a dam?", **fields) is None


def test_a_cache_that_is_switched_off_answers_and_stores_nothing(
    database: Database, cache: Cache, encoder: LetterEncoder, clock: Clock
) -> None:
    store(database, cache, "What is a dam?")
    off = a_cache(database, encoder, clock, enabled=False)
    [lookup] = off.lookup([a_claim("What is a dam?")])
    assert (lookup.hit, off.new_entry(lookup, model="a-model")) == (None, None)


def test_without_an_encoder_only_the_same_prompt_is_answered(
    database: Database, clock: Clock
) -> None:
    plain = a_cache(database, None, clock)
    store(database, plain, "What is a dam?")
    plain.refresh()
    assert ask(plain, "What is a dam?")
    assert ask(plain, "what is a dam") is None


def test_a_question_that_is_too_long_is_looked_up_exactly_only(
    database: Database, cache: Cache, encoder: LetterEncoder
) -> None:
    long = "What is a dam? " * 20
    lookup = store(database, cache, long)
    cache.refresh()
    assert lookup.vector is None
    assert encoder.passes in ([], [0])
    assert ask(cache, long)
    assert ask(cache, long.lower()) is None


def test_an_entry_answers_until_its_time_is_over(
    database: Database, cache: Cache, clock: Clock
) -> None:
    store(database, cache, "What is a dam?")
    cache.refresh()
    clock.now = NOW + 59_999
    assert ask(cache, "What is a dam?")
    assert ask(cache, "what is a dam")
    clock.now = NOW + 60_000
    assert ask(cache, "What is a dam?") is None
    assert ask(cache, "what is a dam") is None


def test_a_batch_is_one_embedding_pass_and_keeps_its_order(
    database: Database, cache: Cache, encoder: LetterEncoder
) -> None:
    for prompt in ("What is a dam?", "Who wrote Dune?"):
        store(database, cache, prompt)
    cache.refresh()
    encoder.passes.clear()
    prompts = ["new", "Who wrote Dune?", "what is a dam", "newer", "What is a dam?"]
    claims: list[Claim] = [a_claim(prompt, job_id=prompt) for prompt in prompts]
    lookups = cache.lookup(claims)
    assert encoder.passes == [3]
    assert [lookup.claim.job_id for lookup in lookups] == prompts
    sources = [lookup.hit.source if lookup.hit else None for lookup in lookups]
    assert sources == [None, Source.EXACT, Source.SEMANTIC, None, Source.EXACT]


def test_looking_up_nothing_finds_nothing(cache: Cache) -> None:
    assert cache.lookup([]) == []
