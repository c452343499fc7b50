"""The plan of a model's memory: published numbers, windows, latent attention, several GPUs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_producer.plan.kv.architecture import Architecture
from penstock_producer.plan.kv.cache import KvCache
from penstock_producer.plan.kv.families import read_architecture
from penstock_producer.plan.kv.planning import GIB, Gpu, Question, fits_at_once, plan_kv
from penstock_producer.plan.kv.sources import KnownModel, known_models
from penstock_producer.plan.kv.weights import QUANTIZATIONS, weights_bytes
from penstock_shared.errors import InvalidRequest
from tests.tiny_models import TINY

LLAMA = TINY["grouped-query"]
GPU = Gpu(80 * GIB, 0.92, 2 * GIB)
contexts = st.integers(1, 300_000)
models = st.sampled_from([*TINY.values(), *(known.config for known in known_models())])


def of(model: str) -> Architecture:
    return read_architecture(next(k.config for k in known_models() if model in k.names))


@pytest.mark.parametrize("known", known_models(), ids=lambda known: known.names[0])
def test_parameters_are_those_that_were_published(known: KnownModel) -> None:
    assert read_architecture(known.config).weights.parameters == known.parameters


def test_llama_3_70b_at_32768_tokens_takes_10_7_gb_and_not_85() -> None:
    plan = plan_kv("meta-llama/Meta-Llama-3-70B", Question([32_768], "fp16"))
    assert plan.kv_bytes_per_token == 2 * 80 * 8 * 128 * 2
    assert plan.rows[0].kv_bytes_per_request == 10_737_418_240
    as_the_article_has_it = of("llama-3-70b").layers[0]._replace(heads=64)
    wrong = KvCache(of("llama-3-70b")._replace(layers=(as_the_article_has_it,) * 80), "fp16")
    assert wrong.need(32_768).bytes_per_gpu == 85_899_345_920


@pytest.mark.parametrize(
    ("model", "bytes_per_token"),
    [
        ("meta-llama/Meta-Llama-3-8B", 131_072),
        ("meta-llama/Llama-3.1-405B", 516_096),
        ("deepseek-ai/DeepSeek-V3", 70_272),  # 61 layers of 512 + 64
        ("tiiuae/falcon-7b", 8_192),  # one head of 64
        ("microsoft/Phi-3-mini-4k-instruct", 393_216),
        ("google/gemma-3-27b-it", 507_904),
    ],
)
def test_bytes_per_token(model: str, bytes_per_token: int) -> None:
    assert KvCache(of(model), "bf16").bytes_per_token == bytes_per_token
    assert KvCache(of(model), "fp8").bytes_per_token == bytes_per_token / 2


def test_a_window_ends_the_growth_of_its_layers_at_a_whole_block() -> None:
    cache = KvCache(of("mistralai/Mistral-7B-v0.1"), "bf16")
    assert cache.need(2_000).blocks == 125
    assert cache.need(4_096).blocks == 256
    assert cache.need(8_192).blocks == cache.need(100_000).blocks == 4_096 // 16 + 1
    assert cache.need(100_000, in_flight=8_193).blocks == (4_096 + 8_192) // 16 + 1


def test_layers_without_a_window_go_on_in_a_hybrid() -> None:
    cache = KvCache(of("google/gemma-2-27b-it"), "bf16")
    assert cache.groups == {4_096: 1, None: 1}
    assert cache.need(32_768).blocks == 257 + 2_048


def test_uneven_layers_are_padded_to_groups_of_one_size_as_in_vllm() -> None:
    cache = KvCache(of("google/gemma-3-27b-it"), "bf16")
    assert cache.groups == {1_024: 6, None: 1}  # 52 layers in six groups of 10
    assert cache.bytes_per_block == 10 * 2 * 16 * 128 * 2 * 16
    nearly_even = TINY["uneven-hybrid"] | {
        "num_hidden_layers": 5, "layer_types": ["sliding_attention"] * 2 + ["full_attention"] * 3,
    }  # fmt: skip
    assert set(KvCache(read_architecture(nearly_even), "bf16").groups.values()) == {1, 2}
    nearer = TINY["uneven-hybrid"] | {
        "num_hidden_layers": 25,
        "layer_types": ["sliding_attention"] * 12 + ["full_attention"] * 13,
    }
    assert KvCache(read_architecture(nearer), "bf16").groups == {64: 1, None: 1}


def test_kv_heads_are_divided_among_gpus_and_copied_where_they_are_too_few() -> None:
    llama = of("llama-3-70b")
    whole = KvCache(llama, "bf16").bytes_per_token
    assert KvCache(llama, "bf16", 8).bytes_per_token_per_gpu == whole // 8
    assert KvCache(llama, "bf16", 8).bytes_per_token == whole
    assert KvCache(llama, "bf16", 16).bytes_per_token == 2 * whole


def test_latent_attention_is_copied_to_every_gpu() -> None:
    deepseek = of("deepseek-ai/DeepSeek-V3")
    assert KvCache(deepseek, "bf16", 8).bytes_per_token == 8 * 70_272


@pytest.mark.parametrize(("model", "gpus"), [("llama-3-70b", 3), ("tiiuae/falcon-7b", 2)])
def test_gpus_among_which_heads_cannot_be_divided_are_refused(model: str, gpus: int) -> None:
    with pytest.raises(InvalidRequest, match="cannot be divided"):
        plan_kv(model, Question([100], tensor_parallel=gpus))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "mamba2"}, "not known"),
        ({"model_type": None}, "not known"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "not known"),
        ({"attention_chunk_size": 8192}, "attention_chunk_size"),
        ({"num_hidden_layers": None}, "num_hidden_layers"),
        ({"num_hidden_layers": "four"}, "above 0"),
        ({"num_key_value_heads": -1}, "above 0"),
        ({"hidden_size": 130}, "no multiple"),
        ({"layer_types": ["full_attention"]}, "does not name"),
        ({"layer_types": ["linear_attention"] * 4}, "linear_attention"),
        ({"torch_dtype": "float128"}, "float128"),
    ],
)
def test_what_is_not_known_is_refused_and_not_guessed(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        read_architecture(LLAMA | changes)


def test_an_unknown_kv_dtype_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="kv-dtype"):
        plan_kv("llama-3-70b", Question([100], "int3"))


def test_qwen_has_a_window_only_where_it_is_switched_on() -> None:
    off = next(k.config for k in known_models() if "Qwen/Qwen2.5-72B" in k.names)
    assert {layer.window for layer in read_architecture(off).layers} == {None}
    on = read_architecture(off | {"use_sliding_window": True})
    assert [layer.window for layer in on.layers].count(131_072) == 80 - 70


def test_weights_in_fewer_bits() -> None:
    weights = of("llama-3-70b").weights
    sizes = {name: weights_bytes(weights, name) for name in QUANTIZATIONS}
    assert sizes["bf16"] == 2 * 70_553_706_496
    assert sizes["int8"] == sizes["fp8"] == pytest.approx(72.7e9, rel=0.001)
    assert sizes["int4"] == pytest.approx(39.5e9, rel=0.001)


@pytest.mark.parametrize(("toy", "format_"), [("large", "bf16"), ("large-int8", "int8"),
                                              ("large-int4", "int4")])  # fmt: skip
def test_the_toys_weigh_what_is_computed(toy: str, format_: str) -> None:
    plan = plan_kv(f"penstock-toys/{toy}", Question([100], group=32))
    assert plan.weights_bytes["stored"] == pytest.approx(plan.weights_bytes[format_], rel=0.01)


def test_requests_that_fit_at_once() -> None:
    plan = plan_kv("llama-3-70b", Question([8_192], tensor_parallel=2, gpu=GPU))
    free = GPU.usable_bytes - 141_107_412_992 // 2
    blocks = free // (327_680 * 16 // 2) - 1
    assert plan.rows[0].max_concurrent is not None
    assert plan.rows[0].max_concurrent["bf16"] == blocks // 512
    assert plan.notes == ()


def test_weights_that_do_not_fit_leave_no_room() -> None:
    plan = plan_kv("llama-3-70b", Question([8_192], gpu=GPU))
    assert plan.rows[0].max_concurrent is not None
    assert plan.rows[0].max_concurrent["bf16"] == 0


def test_a_context_that_the_model_was_not_made_for_is_noted() -> None:
    assert "8,192" in plan_kv("llama-3-70b", Question([9_000])).notes[0]


@given(models, contexts, contexts)
def test_more_tokens_never_take_less(config: dict[str, Any], one: int, other: int) -> None:
    cache = KvCache(read_architecture(config), "bf16")
    assert cache.need(min(one, other)).blocks <= cache.need(max(one, other)).blocks


@given(models, contexts)
def test_a_request_never_takes_less_than_its_tokens_in_full_attention(
    config: dict[str, Any], context: int
) -> None:
    cache = KvCache(read_architecture(config), "bf16")
    need = cache.need(context)
    if set(cache.groups) == {None}:
        rounding = need.bytes_per_gpu - context * cache.bytes_per_token
        assert 0 <= rounding < cache.bytes_per_block
    else:
        padded = sum(cache.groups.values()) * cache.bytes_per_block * -(-context // 16)
        assert need.bytes_per_gpu <= padded


@given(models, contexts, st.integers(1, 2_000), st.integers(0, 10**12))
def test_what_fits_does_fit_and_one_more_does_not(
    config: dict[str, Any], context: int, gib: int, weights: int
) -> None:
    cache = KvCache(read_architecture(config), "fp8")
    gpu = Gpu(gib * GIB, 0.9, GIB)
    fits, need = fits_at_once(cache, gpu, weights, context), cache.need(context)
    room = gpu.usable_bytes - weights - cache.bytes_per_block
    assert fits == 0 or fits * need.bytes_per_gpu <= room
    assert (fits + 1) * need.bytes_per_gpu > room - cache.bytes_per_block
