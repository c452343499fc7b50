"""A tier's options for vLLM: what passes, what is refused, and what the refusal says to write."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from penstock_shared.engine_catalogue import catalogue
from penstock_shared.errors import SettingsError
from penstock_shared.old_engine_options import (
    advice_for,
    advice_for_speculation,
    old_options,
    old_speculative_options,
    to_toml,
)
from penstock_shared.settings import load_settings
from penstock_shared.tier_settings import TierSettings

DRAFT = {"model": "a-draft", "num_speculative_tokens": 5}


def a_tier(**options: Any) -> TierSettings:
    return TierSettings(**{"model": "m", "price_per_hour": 1, **options})


def refusal_of(**options: Any) -> str:
    with pytest.raises(ValidationError) as refusal:
        a_tier(**options)
    return refusal.value.errors()[0]["msg"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def read_with(home: Path, options: str) -> TierSettings:
    Path("penstock.toml").write_text(
        f'[tiers.large]\nmodel = "m"\nprice_per_hour = 1\n{options}\n'
        '[[routing.rules]]\nname = "all"\ntier = "large"\n',
        encoding="utf-8",
    )
    return load_settings(home).tiers["large"]


def test_a_tier_with_only_model_and_price_leaves_all_to_vllm() -> None:
    assert a_tier().engine_options() == {}


def test_every_option_of_vllm_passes_under_its_name(home: Path) -> None:
    tier = read_with(
        home,
        'max_num_batched_tokens = 2048\nkv_cache_dtype = "fp8"\nasync_scheduling = false\n'
        "compilation_config = { level = 3 }\ncudagraph_capture_sizes = [1, 2]",
    )
    assert tier.engine_options() == {
        "max_num_batched_tokens": 2048,
        "kv_cache_dtype": "fp8",
        "async_scheduling": False,
        "compilation_config": {"level": 3},
        "cudagraph_capture_sizes": [1, 2],
    }


def test_what_is_written_is_passed_even_when_it_is_the_default() -> None:
    assert a_tier(dtype="auto", tensor_parallel_size=1).engine_options() == {
        "dtype": "auto",
        "tensor_parallel_size": 1,
    }


def test_variables_pass_options_as_the_values_that_they_look_like(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "MAX_NUM_BATCHED_TOKENS": "2048",
        "ASYNC_SCHEDULING": "false",
        "KV_CACHE_DTYPE": "fp8",
        "QUANTIZATION": "fp8",
        "TENSOR_PARALLEL_SIZE": "2",
        "DISTRIBUTED_EXECUTOR_BACKEND": "ray",
        "SPECULATIVE_CONFIG__METHOD": "ngram",
        "SPECULATIVE_CONFIG__NUM_SPECULATIVE_TOKENS": "4",
    }.items():
        monkeypatch.setenv(f"PENSTOCK_TIERS__LARGE__{name}", value)
    assert read_with(home, "").engine_options() == {
        "max_num_batched_tokens": 2048,
        "async_scheduling": False,
        "kv_cache_dtype": "fp8",
        "quantization": "fp8",
        "tensor_parallel_size": 2,
        "distributed_executor_backend": "ray",
        "speculative_config": {"method": "ngram", "num_speculative_tokens": 4},
    }


def test_a_variable_may_hold_the_whole_speculation(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_TIERS__LARGE__SPECULATIVE_CONFIG", json.dumps(DRAFT))
    assert read_with(home, "").speculative_config == DRAFT


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ("max_num_sequences = 8", "max_num_sequences", "did you mean 'max_num_seqs'?"),
        ("gpu_memory_utilisation = 0.5", "gpu_memory_utilisation", "'gpu_memory_utilization'?"),
        ("prices_per_hour = 3", "prices_per_hour", "did you mean 'price_per_hour'?"),
        ("max-model-len = 8", "max-model-len", "did you mean 'max_model_len'?"),
        ("enable_prefix_cache = true", "enable_prefix_cache", "'enable_prefix_caching'?"),
        ("zzz = 1", "zzz", "vLLM's the fields of its EngineArgs"),
        ('quantization = "fp9"', "quantization", "'fp9' is no quantization"),
        ('dtype = "bf16"', "dtype", "did you mean 'bfloat16'?"),
        ('kv_cache_dtype = "fp7"', "kv_cache_dtype", "did you mean 'fp8'?"),
        ("use_v2_block_manager = true", "use_v2_block_manager", "delete the line"),
        ("max_model_len = 0", "max_model_len", "at least 16 tokens, or -1"),
        ("seed = 2020-01-01", "seed", "write a string, a number"),
        (
            'speculative_config = { metod = "ngram" }',
            "speculative_config.metod",
            "did you mean 'method'?",
        ),
        (
            'speculative_config = { method = "eagel3", model = "m" }',
            "speculative_config.method",
            "did you mean 'eagle3'?",
        ),
    ],
)
def test_a_wrong_option_is_refused_in_one_line_with_its_path(
    home: Path, line: str, key: str, words: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        read_with(home, line)
    message = refusal.value.message
    assert message.startswith(f"tiers.large.{key}: ")
    assert words in message
    assert "penstock.toml" in message
    assert "\n" not in message


def test_a_wrong_option_in_a_variable_is_refused_the_same_way(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_TIERS__LARGE__SPECULATIVE_MODEL", "a-draft")
    monkeypatch.setenv("PENSTOCK_TIERS__LARGE__NUM_SPECULATIVE_TOKENS", "7")
    with pytest.raises(SettingsError) as refusal:
        load_settings(home)
    assert refusal.value.message.startswith("tiers.large.")
    assert (
        'write speculative_config = { method = "draft_model", model = "a-draft", '
        "num_speculative_tokens = 7 }"
    ) in refusal.value.message


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("disable_log_stats", "the meter reads"),
        ("data_parallel_size", "start another worker of the tier"),
        ("data_parallel_backend", "start another worker of the tier"),
        ("served_model_name", "stands in model"),
        ("skip_tokenizer_init", "stop strings"),
        ("runner", "generates text only"),
        ("hf_token", "HF_TOKEN"),
        ("per_request_spec_decode_metrics", "counts drafted tokens itself"),
    ],
)
def test_what_penstock_decides_is_refused_with_the_reason(option: str, reason: str) -> None:
    assert option in catalogue().options
    assert reason in refusal_of(**{option: "x"})


def test_the_short_forms_of_speculation_are_answered_with_the_table() -> None:
    words = refusal_of(spec_method="eagle3", spec_model="e", spec_tokens=3)
    assert 'speculative_config = { method = "eagle3", model = "e", num_spec' in words


def test_an_executor_is_for_several_devices() -> None:
    assert "one device needs none" in refusal_of(distributed_executor_backend="ray")
    assert a_tier(distributed_executor_backend="uni")
    assert a_tier(distributed_executor_backend="ray", tensor_parallel_size=2)
    assert a_tier(distributed_executor_backend="mp", pipeline_parallel_size=2)


def test_a_tokenizer_that_the_worker_cannot_read_is_refused() -> None:
    assert "write auto or hf" in refusal_of(tokenizer_mode="mistral")
    assert a_tier(tokenizer_mode="hf", tokenizer="t", trust_remote_code=True)


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


def test_the_options_that_the_example_file_shows_are_accepted() -> None:
    text = (Path(__file__).parents[2] / "docs" / "penstock.toml").read_text(encoding="utf-8")
    shown = re.findall(r"(?m)^#   ([a-z_]+ = .+)$", text)
    several = [tomllib.loads(line) for line in shown]
    table: dict[str, Any] = {}
    for one in several[several.index({"method": "draft_model"}) :]:
        table |= one
    assert a_tier(speculative_config=table).engine_options() == {"speculative_config": table}
    for one in several[: several.index({"method": "draft_model"})]:
        assert a_tier(**one).engine_options() == one
    assert len(several) > 12


def test_folders_of_draft_and_tokenizer_start_at_the_file(home: Path, tmp_path: Path) -> None:
    tier = read_with(
        home,
        'tokenizer = "./words"\n'
        'speculative_config = { model = "../draft", num_speculative_tokens = 2 }',
    )
    assert tier.other_options["tokenizer"] == str(tmp_path / "words")
    assert tier.speculative_config["model"] == str(tmp_path.parent / "draft")
