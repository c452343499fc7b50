"""Where models are, what identifies their answers, and how an engine is configured."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock_shared.engine_catalogue import catalogue
from penstock_shared.errors import SettingsError
from penstock_shared.tier_settings import TierSettings, default_tiers
from penstock_workers.models import checkpoint_bytes, engine_config, locate, parse_cpus

WRITTEN: dict[str, Any] = {
    "revision": "r1",
    "dtype": "float16",
    "quantization": "fp8",
    "max_model_len": 123,
    "max_num_seqs": 5,
    "gpu_memory_utilization": 0.5,
    "kv_cache_memory_bytes": 1000,
    "tensor_parallel_size": 2,
    "enable_prefix_caching": False,
    "enforce_eager": True,
    "speculative_config": {"method": "ngram", "num_speculative_tokens": 2},
    "max_num_batched_tokens": 2048,
}


def a_tier(**changes: Any) -> TierSettings:
    return TierSettings(**{"model": "a-model", "price_per_hour": Decimal(1), **changes})


@pytest.mark.parametrize("tier", default_tiers().values(), ids=list(default_tiers()))
def test_the_default_tiers_have_their_models(tier: TierSettings) -> None:
    folder = Path(locate(tier.model))
    assert (folder / "config.json").is_file()
    assert (folder / "tokenizer.json").is_file()


@pytest.mark.parametrize("name", ["a-folder", "/models/x", "Qwen/Qwen3-0.6B"])
def test_other_models_are_taken_as_they_are_named(name: str) -> None:
    assert locate(name) == name


def test_the_size_of_a_checkpoint_is_that_of_its_weights(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"12345")
    assert checkpoint_bytes(str(tmp_path)) == 10
    assert checkpoint_bytes("Qwen/Qwen3-0.6B") is None


@pytest.mark.parametrize("name", ["huge", "../toys", ""])
def test_an_unknown_toy_is_a_wrong_setting_that_names_the_known_ones(name: str) -> None:
    with pytest.raises(SettingsError, match=r"there are draft, large, .*, medium, small"):
        locate(f"penstock-toys/{name}")


@pytest.mark.parametrize("field", ["model", "revision", "quantization", "dtype", "max_model_len"])
def test_what_changes_the_answers_changes_the_identity(field: str) -> None:
    plain = a_tier(model="penstock-toys/small")
    changed = plain.model_copy(update={field: {**WRITTEN, "model": "another"}[field]})
    assert changed.identity() != plain.identity()


def test_what_does_not_change_the_answers_leaves_the_identity() -> None:
    plain = a_tier()
    changed = a_tier(
        price_per_hour=Decimal(9),
        max_num_seqs=3,
        gpu_memory_utilization=0.5,
        dtype="auto",
        speculative_config={"method": "ngram", "num_speculative_tokens": 2},
    )
    assert changed.identity() == plain.identity()


def test_every_option_that_is_only_passed_on_changes_the_identity() -> None:
    changed = a_tier(kv_cache_dtype="fp8", hf_overrides={"rope_parameters": {"factor": 4.0}})
    assert changed.identity().keys() - a_tier().identity().keys() == {
        "kv_cache_dtype",
        "hf_overrides",
    }


def test_every_option_reaches_the_engine_under_its_name() -> None:
    config = engine_config(a_tier(**WRITTEN), started_ns=7)
    assert config.options == WRITTEN
    assert (config.model, config.started_ns) == ("a-model", 7)


def test_every_option_has_the_name_of_a_field_of_vllms_engine_args() -> None:
    options = {*engine_config(a_tier(**WRITTEN), 0).options, *engine_config(a_tier(), 0).options}
    assert "distributed_executor_backend" in options
    assert options - set(catalogue().options) == set()


def test_what_is_not_set_is_left_to_the_engine() -> None:
    assert engine_config(a_tier(), 0).options == {"distributed_executor_backend": "uni"}


def test_draft_and_tokenizer_may_be_toys() -> None:
    tier = a_tier(
        tokenizer="penstock-toys/small",
        speculative_config={"model": "penstock-toys/draft", "num_speculative_tokens": 3},
    )
    options = engine_config(tier, 0).options
    assert options["tokenizer"] == locate("penstock-toys/small")
    assert options["speculative_config"]["model"] == locate("penstock-toys/draft")
    assert tier.speculative_config["model"] == "penstock-toys/draft"


def test_one_device_needs_no_processes_and_two_do() -> None:
    assert engine_config(a_tier(), 0).options["distributed_executor_backend"] == "uni"
    two = engine_config(a_tier(tensor_parallel_size=2), 0)
    assert "distributed_executor_backend" not in two.options
    ray = a_tier(pipeline_parallel_size=2, distributed_executor_backend="ray")
    assert engine_config(ray, 0).options["distributed_executor_backend"] == "ray"


def test_the_price_is_the_tiers() -> None:
    config = engine_config(a_tier(price_per_hour=Decimal("0.40")), 0)
    assert config.price_per_hour_pusd == 400_000_000_000


def test_cores_and_threads_reach_the_engines_process() -> None:
    config = engine_config(a_tier(cpus="0-1,4", cpu_threads=3), 0)
    assert config.cpus == (0, 1, 4)
    assert config.environment["OMP_NUM_THREADS"] == "3"
    assert config.environment["VLLM_CPU_OMP_THREADS_BIND"] == "0-1,4"
    assert engine_config(a_tier(), 0).cpus == ()


def test_an_engine_with_cores_of_its_own_has_a_thread_for_each() -> None:
    assert engine_config(a_tier(cpus="0-2,7"), 0).environment["OMP_NUM_THREADS"] == "4"


@pytest.mark.parametrize(("cores", "threads"), [({0, 1, 2, 3}, "3"), ({0}, "1")])
def test_an_engine_without_cores_of_its_own_leaves_one_to_the_worker(
    monkeypatch: pytest.MonkeyPatch, cores: set[int], threads: str
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: cores)
    assert engine_config(a_tier(), 0).environment["OMP_NUM_THREADS"] == threads


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0", (0,)), ("0-3,8", (0, 1, 2, 3, 8)), ("2,0", (2, 0)), ("5-5", (5,))],
)
def test_a_list_of_cores_is_read(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize("text", ["", "a", "0-", "-3", "0,,1", "0-3-5", "3-1"])
def test_what_is_no_list_of_cores_is_a_wrong_setting(text: str) -> None:
    with pytest.raises(SettingsError, match="write it like 0-3,8"):
        parse_cpus(text)
