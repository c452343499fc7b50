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
