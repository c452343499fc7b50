"""What a completion or a hit means for the jobs that waited for it."""

from decimal import Decimal

import pytest

from penstock_shared.ledger.cache_entries import Entry
from penstock_shared.settings import TierSettings
from penstock_shared.words import JobState, Source
from penstock_workers import outcomes
from penstock_workers.cache.cache import Hit
from penstock_workers.engine.protocol import Ending
from penstock_workers.flights import Passenger
from tests.examples import a_claim, a_completion, a_lookup, succeeded

TIER = TierSettings(model="a-model", revision="r1", quantization="fp8", price_per_hour=Decimal(1))
HIT = Hit(
    Entry(7, "key", "partition", "What is a dam?", "A wall.", "stop", 5, 3, 900),
    Source.EXACT,
    "same",
)


def passengers(*job_ids: str) -> list[Passenger]:
    return [Passenger(a_lookup(a_claim(job_id=job_id)), 5) for job_id in job_ids]


@pytest.mark.parametrize("ending", [Ending.STOP, Ending.LENGTH])
def test_an_engines_answer_carries_what_made_it_and_what_it_took(ending: Ending) -> None:
    completion = a_completion("a", ending, cached_tokens=2, token_ids=(1, 2, 3, 4))
    answer = outcomes.engine_answer(TIER, completion, "A wall.", prompt_tokens=5, queue_ms=30)
    assert (answer.text, answer.source, answer.finish_reason) == ("A wall.", "engine", ending)
    assert (answer.model, answer.revision, answer.quantization) == ("a-model", "r1", "fp8")
    assert (answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens) == (5, 2, 4)
    assert (answer.queue_ms, answer.prefill_ms, answer.decode_ms) == (30, 4, 6)


@pytest.mark.parametrize(
    ("config", "named"),
    [(None, None), ({"method": "ngram"}, "ngram"), ({"model": "draft"}, "draft_model")],
)
def test_an_answer_names_its_speculation(config: dict[str, str] | None, named: str | None) -> None:
    tier = TIER.model_copy(update={"speculative_config": config})
    answer = outcomes.engine_answer(tier, a_completion("a"), "", prompt_tokens=1, queue_ms=0)
    assert answer.speculation == named


def test_a_cached_answer_is_the_entrys_and_says_why() -> None:
    answer = outcomes.cached_answer(TIER, HIT, queue_ms=9)
    assert (answer.text, answer.finish_reason, answer.entry_id) == ("A wall.", "stop", 7)
    assert (answer.source, answer.source_detail) == (Source.EXACT, "same")
    assert (answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens) == (5, 3, 0)
    assert answer.saved_pusd == 900
    assert (answer.queue_ms, answer.prefill_ms, answer.decode_ms) == (9, 0, 0)


def test_clocks_that_disagree_make_no_negative_times() -> None:
    made = outcomes.engine_answer(TIER, a_completion("a"), "", prompt_tokens=1, queue_ms=-4)
    assert made.queue_ms == outcomes.cached_answer(TIER, HIT, queue_ms=-4).queue_ms == 0


def test_those_who_joined_get_the_same_answer_free_and_leave_the_entry_to_the_payer() -> None:
    paid = succeeded(a_claim(job_id="payer"), cost_pusd=900)
    first, second = outcomes.joined(passengers("b", "c"), paid)
    assert (first.claim.job_id, second.claim.job_id) == ("b", "c")
    assert paid.answer is not None
    for settlement in (first, second):
        assert (settlement.state, settlement.cost_pusd) == (JobState.SUCCEEDED, 0)
        assert settlement.entry is None
        assert settlement.answer is not None
        assert settlement.answer.text == paid.answer.text
        assert settlement.answer.source is Source.JOINED
        assert "payer" in (settlement.answer.source_detail or "")
        assert settlement.answer.saved_pusd == 900


def test_nobody_joins_a_settlement_without_an_answer() -> None:
    refused = succeeded(a_claim(), answer=None, state=JobState.FAILED)
    assert outcomes.joined(passengers("b"), refused) == []


def test_the_first_of_those_who_failed_bears_the_cost() -> None:
    settlements = outcomes.failed(passengers("a", "b", "c"), "it is cursed", 50)
    assert [s.cost_pusd for s in settlements] == [50, 0, 0]
    assert {(s.state, s.error, s.answer) for s in settlements} == {
        (JobState.FAILED, "it is cursed", None)
    }


def test_a_failure_always_has_a_reason() -> None:
    [settlement] = outcomes.failed(passengers("a"), None, 0)
    assert "engine" in (settlement.error or "")


def test_who_withdrew_ends_with_verdict_and_reason() -> None:
    [aboard] = passengers("a")
    leaving = aboard._replace(verdict=JobState.EXPIRED, reason="the deadline passed")
    settlement = outcomes.withdrawn(leaving, 7)
    assert (settlement.state, settlement.error) == (JobState.EXPIRED, "the deadline passed")
    assert (settlement.cost_pusd, settlement.answer) == (7, None)
    assert outcomes.withdrawn(aboard, 0).state is JobState.CANCELLED
