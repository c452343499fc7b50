"""Old options get the spelling of today, and speculation is held to the rules of vLLM."""

import re
import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from penstock_shared.engine_catalogue import catalogue
from penstock_shared.old_engine_options import (
    advice_for,
    advice_for_speculation,
    old_options,
    old_speculative_options,
    to_toml,
)
from penstock_shared.tier_settings import TierSettings

DRAFT = {"model": "a-draft", "num_speculative_tokens": 5}


def a_tier(**options: Any) -> TierSettings:
    return TierSettings(**{"model": "m", "price_per_hour": 1, **options})


def refusal_of(**options: Any) -> str:
    with pytest.raises(ValidationError) as refusal:
        a_tier(**options)
    return refusal.value.errors()[0]["msg"]


@pytest.mark.parametrize("option", old_options())
def test_an_old_option_is_answered_with_a_spelling_that_is_accepted_today(option: str) -> None:
    assert option not in catalogue().options
    value = "fp8" if option == "speculative_model_quantization" else 2
    words = refusal_of(**{option: value})
    assert words.startswith("Value error, vLLM no longer has this option: ")
    assert str(advice_for(option, {option: value})) in words
    shown = re.search(r"; write (.+)$", words)
    if shown is None:
        assert words.endswith("; delete the line")
    else:
        today = tomllib.loads(shown[1])
        devices = {"tensor_parallel_size": 2} if "distributed_executor_backend" in today else {}
        assert a_tier(**today, **devices).engine_options().items() >= today.items()


def test_the_old_options_of_positions_keep_their_values() -> None:
    words = refusal_of(rope_scaling={"type": "yarn", "factor": 2.0}, rope_theta=5e5)
    rope = 'rope_type = "yarn", factor = 2.0, rope_theta = 500000.0'
    assert f"write hf_overrides = {{ rope_parameters = {{ {rope} }} }}" in words


@pytest.mark.parametrize("option", old_speculative_options())
def test_an_old_option_of_speculation_is_answered_with_todays(option: str) -> None:
    assert option not in catalogue().speculative_options
    words = refusal_of(speculative_config={**DRAFT, option: 2})
    assert str(advice_for_speculation(option, {**DRAFT, option: 2})) in words
    shown = re.search(r"; write (\w+) = (.+)$", words)
    if shown is None:
        assert words.endswith("; delete the line")
    else:
        assert shown[1] in catalogue().speculative_options


@pytest.mark.parametrize(
    ("old", "today"),
    [
        (
            {"speculative_model": "[ngram]", "num_speculative_tokens": 3}
            | {"ngram_prompt_lookup_max": 4, "ngram_prompt_lookup_min": 2},
            {"method": "ngram", "num_speculative_tokens": 3}
            | {"prompt_lookup_max": 4, "prompt_lookup_min": 2},
        ),
        (
            {"speculative_model": "d", "num_speculative_tokens": 4}
            | {"speculative_disable_by_batch_size": 8}
            | {"speculative_draft_tensor_parallel_size": 1},
            {"method": "draft_model", "model": "d", "num_speculative_tokens": 4}
            | {"draft_tensor_parallel_size": 1}
            | {"num_speculative_tokens_per_batch_size": [[1, 8, 4], [9, 9, 0]]},
        ),
    ],
)
def test_the_old_options_of_speculation_together_become_one_table(
    old: dict[str, Any], today: dict[str, Any]
) -> None:
    words = refusal_of(**old)
    assert f"write speculative_config = {to_toml(today)}" in words
    assert a_tier(speculative_config=today)


@pytest.mark.parametrize(
    "config",
    [
        {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4},
        {"method": "ngram", "num_speculative_tokens": 4},
        {"method": "ngram_gpu", "num_speculative_tokens": 4},
        {"method": "suffix"},
        {"method": "mtp", "num_speculative_tokens": 1},
        {"method": "eagle3", "model": "e", "num_speculative_tokens": 3},
        {"method": "medusa", "model": "e", "num_speculative_tokens": 3},
        DRAFT,
        {**DRAFT, "quantization": "fp8", "draft_tensor_parallel_size": 1},
        {**DRAFT, "num_speculative_tokens_per_batch_size": [[9, 32, 0], [1, 4, 3]]},
    ],
)
def test_speculation_that_vllm_takes_passes_as_it_is_written(config: dict[str, Any]) -> None:
    assert a_tier(speculative_config=config).engine_options() == {"speculative_config": config}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model": "d"}, "'draft_model' needs it"),
        ({"method": "ngram"}, "'ngram' needs it"),
        ({"method": "eagle", "num_speculative_tokens": 2}, "'eagle' needs a model"),
        ({"num_speculative_tokens": 2}, "'draft_model' needs a model"),
        ({**DRAFT, "num_speculative_tokens": 0}, "0 is no whole number of at least 1"),
        ({**DRAFT, "num_speculative_tokens": True}, "True is no whole number"),
        ({**DRAFT, "num_speculative_tokens": "5"}, "'5' is no whole number"),
        ({**DRAFT, "quantization": "fp9"}, "'fp9' is no quantization value"),
        (
            {"method": "ngram", "num_speculative_tokens": 2}
            | {"prompt_lookup_min": 5, "prompt_lookup_max": 3},
            "5 is larger than prompt_lookup_max, 3",
        ),
    ],
)
def test_speculation_that_vllm_would_refuse_is_refused_at_once(
    config: dict[str, Any], words: str
) -> None:
    assert words in refusal_of(speculative_config=config)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ([], "write a list such as [[1, 8, 5]"),
        ("1-8:5", "write a list such as [[1, 8, 5]"),
        ([[1, 8]], "[1, 8] is no [first batch size, last batch size, tokens]"),
        ([[1, 8, -1]], "[1, 8, -1] is no"),
        ([[8, 1, 2]], "[8, 1, 2] is no"),
        ([[0, 8, 2]], "[0, 8, 2] is no"),
        ([[1, 8, 2.5]], "[1, 8, 2.5] is no"),
        ([[2, 8, 2]], "the first range starts at 2 instead of 1"),
        ([[1, 8, 4], [8, 16, 2]], "[1, 8, 4] and [8, 16, 2] overlap"),
    ],
)
def test_a_schedule_is_held_to_vllms_rules(schedule: object, words: str) -> None:
    config = {**DRAFT, "num_speculative_tokens_per_batch_size": schedule}
    assert words in refusal_of(speculative_config=config)
