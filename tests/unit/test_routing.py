"""The router, case by case."""

from decimal import Decimal
from typing import Any

import pytest

from penstock_shared.errors import ContextTooLong, InvalidRequest, UnknownTier
from penstock_shared.gates import Gate
from penstock_shared.request import Request
from penstock_shared.routing import Route, route
from penstock_shared.settings import RoutingSettings, Rule, Settings, TierSettings
from penstock_shared.words import TaskType

SETTINGS = Settings()


def route_of(prompt: str, settings: Settings = SETTINGS, **fields: Any) -> Route:
    return route(Request.build(prompt, **fields), settings)


def tiers_that_may(**gates: tuple[TaskType, ...]) -> Settings:
    """Tiers named in ascending size, each with its gate; everything is sent to the first."""
    tiers = {
        name: TierSettings(
            model=name,
            price_per_hour=Decimal(place),
            max_model_len=1000 * place,
            task_types=gate,
        )
        for place, (name, gate) in enumerate(gates.items(), start=1)
    }
    rule = Rule(name="all", tier=next(iter(gates)))
    return Settings(tiers=tiers, routing=RoutingSettings(rules=(rule,)))


@pytest.mark.parametrize(
    ("prompt", "tier"),
    [
        ("Who wrote Dune?", "small"),
        ("Thủ đô của Việt Nam là gì?", "small"),
        ("Hello!", "small"),
        ("Xin chào!", "small"),
        ("Translate to Vietnamese: rain", "small"),
        ("Dịch sang tiếng Anh: mưa", "small"),
        ("Summarize: rain fell.", "medium"),
        ("Tóm tắt: trời mưa.", "medium"),
        ("Write a Python function that adds.", "medium"),
        ("Viết một bài thơ về mưa.", "medium"),
        ("Who wrote Dune? " + "And who read it? " * 12, "medium"),
        ("Prove that 2 is prime.", "large"),
        ("Chứng minh rằng 2 là số nguyên tố.", "large"),
        ("What is 17 * 4, step by step?", "large"),
        ("water " * 300, "large"),
    ],
)
def test_the_built_in_policy_sends_each_prompt_to_its_tier(prompt: str, tier: str) -> None:
    assert route_of(prompt).tier == tier


def test_the_reason_names_the_rule_and_what_it_saw() -> None:
    assert route_of("Who wrote Dune?").reason == "rule 'short and simple': factual_qa, 3 words"


def test_an_explicit_tier_beats_the_policy() -> None:
    chosen = route_of("Who wrote Dune?", tier="large")
    assert (chosen.tier, chosen.reason) == ("large", "the caller chose this tier")


def test_the_queue_of_a_foreign_app_counts_as_an_explicit_tier() -> None:
    chosen = route(Request.build("Who wrote Dune?"), SETTINGS, sent_to="medium")
    assert (chosen.tier, chosen.reason) == ("medium", "sent to this tier's queue")


def test_the_callers_tier_beats_the_queue() -> None:
    chosen = route(Request.build("Who wrote Dune?", tier="large"), SETTINGS, sent_to="medium")
    assert chosen.tier == "large"


def test_a_tier_that_may_not_serve_the_task_is_passed_over() -> None:
    settings = tiers_that_may(little=(TaskType.CHAT,), big=(TaskType.FACTUAL_QA,))
    chosen = route_of("Who wrote Dune?", settings)
    assert chosen.tier == "big"
    assert "little may not serve factual_qa" in chosen.reason


def test_a_tier_that_cannot_hold_the_request_is_passed_over() -> None:
    settings = tiers_that_may(little=tuple(TaskType), big=tuple(TaskType))
    chosen = route_of("Who wrote Dune?", settings, max_tokens=1500)
    assert chosen.tier == "big"
    assert "too long for little (1,000 tokens)" in chosen.reason


def test_without_a_rule_that_applies_the_largest_tier_serves() -> None:
    settings = tiers_that_may(little=tuple(TaskType), big=tuple(TaskType))
    rule = Rule(name="only chat", tier="little", task_types=(TaskType.CHAT,))
    settings = settings.model_copy(update={"routing": RoutingSettings(rules=(rule,))})
    chosen = route_of("Who wrote Dune?", settings)
    assert (chosen.tier, chosen.reason) == ("big", "no rule applies, so the largest tier")


def test_an_unknown_tier_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownTier, match="'huge'; the tiers are small, medium, large"):
        route_of("Who wrote Dune?", tier="huge")


def test_a_tier_that_does_not_say_its_length_holds_any_prompt_and_is_the_largest() -> None:
    settings = tiers_that_may(little=tuple(TaskType), big=tuple(TaskType))
    own = TierSettings(model="own", price_per_hour=Decimal(0))
    fit = TierSettings(model="fit", price_per_hour=Decimal(0), max_model_len=-1)
    for tier in (own, fit):
        tiers = {**settings.tiers, "open": tier}
        several = settings.model_copy(update={"tiers": tiers})
        assert several.largest_tier == "open"
        assert route_of("Who wrote Dune?", several, max_tokens=9000).tier == "open"
        assert route_of("Who wrote Dune?", several, max_tokens=1500).tier == "open"
        assert route_of("Who wrote Dune?", several, max_tokens=100).tier == "little"


def test_a_request_that_fits_nowhere_is_refused_with_the_numbers() -> None:
    with pytest.raises(ContextTooLong, match=r"9,000.*8,192 tokens of tier 'large'"):
        route_of("Who wrote Dune?", max_tokens=9000)


def test_an_explicit_tier_that_is_too_small_is_refused_and_not_replaced() -> None:
    with pytest.raises(ContextTooLong, match="tier 'small'"):
        route_of("Who wrote Dune?", tier="small", max_tokens=2000)


def test_a_task_that_no_tier_may_serve_is_refused_with_the_setting_to_change() -> None:
    settings = tiers_that_may(little=(TaskType.CHAT,), big=(TaskType.CHAT,))
    with pytest.raises(InvalidRequest, match=r"may serve factual_qa.*change task_types"):
        route_of("Who wrote Dune?", settings)


def test_when_the_only_tier_with_room_is_gated_the_gate_is_the_reason() -> None:
    settings = tiers_that_may(little=tuple(TaskType), big=(TaskType.CHAT,))
    with pytest.raises(InvalidRequest, match=r"too long for little.*big may not serve") as refusal:
        route_of("Who wrote Dune?", settings, max_tokens=1500)
    assert not isinstance(refusal.value, ContextTooLong)


def gated(**passed: bool) -> Settings:
    """Tiers that may serve all; the router's first choice is the first, gates are for code."""
    settings = tiers_that_may(**dict.fromkeys(passed, tuple(TaskType)))
    gates = {
        name: {TaskType.CODE: Gate(passed=found, why="0.41 against 0.92 of large")}
        for name, found in passed.items()
    }
    return settings.model_copy(update={"gates": gates})


CODE_PROMPT = "Write a Python function that adds two numbers."


def test_a_tier_that_failed_its_gate_is_passed_over_and_the_reason_says_so() -> None:
    found = route_of(CODE_PROMPT, gated(small=False, medium=False, large=True))
    assert found.tier == "large"
    assert "small failed its gate for code (0.41 against 0.92 of large)" in found.reason
    assert "medium failed its gate for code" in found.reason


def test_a_gate_concerns_its_task_type_only() -> None:
    settings = gated(small=False, large=True)
    assert route_of("Who wrote Dune?", settings).tier == "small"
    assert route_of(CODE_PROMPT, gated(small=True, large=True)).tier == "small"


def test_when_all_gates_failed_the_request_is_refused_with_the_reasons() -> None:
    with pytest.raises(InvalidRequest, match="large failed its gate for code"):
        route_of(CODE_PROMPT, gated(small=False, large=False))


def test_a_caller_who_names_the_tier_takes_the_answer_that_it_gives() -> None:
    assert route_of(CODE_PROMPT, gated(small=False, large=True), tier="small").tier == "small"


def test_an_embedding_goes_to_the_cheapest_tier_whatever_its_gates() -> None:
    settings = tiers_that_may(small=(TaskType.CODE,), large=tuple(TaskType))
    chosen = route_of("Prove it. " * 5_000, settings, kind="embedding", max_tokens=900_000)
    assert chosen.tier == "small"
    assert "embedding" in chosen.reason
    assert "cheapest tier" in chosen.reason


def test_an_embedding_may_name_its_tier() -> None:
    assert route_of("A dam", kind="embedding", tier="large").tier == "large"
    with pytest.raises(UnknownTier):
        route_of("A dam", kind="embedding", tier="huge")


def test_a_completion_is_routed_as_a_chat_is() -> None:
    assert route_of("Prove that 2 is prime.", kind="completion") == route_of(
        "Prove that 2 is prime."
    )
