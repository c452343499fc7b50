"""From config.json to architecture, family by family; a family that is not here is refused.

What config.json leaves out has the value that transformers gives its family.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

from penstock_producer.plan.kv import counting
from penstock_producer.plan.kv.architecture import Architecture, CacheKind, LayerCache
from penstock_producer.plan.kv.blocks import Style, added
from penstock_producer.plan.kv.config import Config
from penstock_producer.plan.kv.counting import Build
from penstock_producer.plan.kv.vision import gemma_vision
from penstock_producer.plan.kv.windows import (
    Windows,
    windows_of,
    windows_of_gemma,
    windows_of_qwen,
)
from penstock_shared.errors import InvalidRequest


class _Family(NamedTuple):
    classes: tuple[str, ...]  # the names that stand in "architectures"
    weights: Build
    windows: Callable[[Config], Windows] = windows_of
    defaults: Mapping[str, Any] = {}
    heads: Callable[[Config], int] = attrgetter("kv_heads")
    is_latent: bool = False


def known_families() -> tuple[str, ...]:
    """Every model_type that is known."""
    return tuple(sorted(_FAMILIES))


def read_architecture(values: Mapping[str, Any]) -> Architecture:
    """What a config.json says. Raises InvalidRequest for what is not known."""
    name = values.get("model_type")
    if not isinstance(name, str) or name not in _FAMILIES:
        known = ", ".join(known_families())
        raise InvalidRequest(
            f"model_type {name!r} is not known to this plan, and is not guessed; known are {known}"
        )
    family = _FAMILIES[name]
    named = values.get("architectures") or []
    if named and named[0] not in family.classes:
        raise InvalidRequest(f"{named[0]} is not known to this plan; of {name} it knows "
                             f"{', '.join(family.classes)}")  # fmt: skip
    if name == "gemma3":
        return _gemma3_with_vision(values)
    config = Config(values, family.defaults)
    return Architecture(
        family=name,
        layers=tuple(_caches(config, family)),
        query_heads=config.number("num_attention_heads"),
        weights=family.weights(config),
        dtype=config.dtype,
        max_positions=config.optional("max_position_embeddings"),
    )


def _caches(config: Config, family: _Family) -> list[LayerCache]:
    if family.is_latent:
        width = config.number("kv_lora_rank") + config.number("qk_rope_head_dim")
        layer = LayerCache(CacheKind.LATENT, 1, width)
        return [layer] * config.number("num_hidden_layers")
    heads, head_dim = family.heads(config), config.head_dim
    return [
        LayerCache(CacheKind.HEADS, heads, head_dim, window) for window in family.windows(config)
    ]


def _gemma3_with_vision(values: Mapping[str, Any]) -> Architecture:
    inner = values.get("text_config")
    if not isinstance(inner, dict):
        raise InvalidRequest("config.json says nothing of 'text_config'")
    text = {key: values[key] for key in ("dtype", "torch_dtype") if key in values} | inner
    text["model_type"] = "gemma3_text"
    text.pop("architectures", None)
    found = read_architecture(text)
    hidden = Config(text, _GEMMA3).number("hidden_size")
    tower = gemma_vision(values.get("vision_config"), hidden)
    return found._replace(family="gemma3", weights=added(found.weights, tower))


_GEMMA: Final = Style(norms=4)
_GEMMA2: Final = {
    "tie_word_embeddings": True,
    "sliding_window": 4096,
    "sliding_window_pattern": 2,
    "max_position_embeddings": 8192,
    "head_dim": 256,
}
_GEMMA3: Final = {
    "tie_word_embeddings": True,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
    "max_position_embeddings": 131_072,
    "head_dim": 256,
    "vocab_size": 262_208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
}
_FALCON: Final = {
    "tie_word_embeddings": True,
    "multi_query": True,
    "parallel_attn": True,
    "max_position_embeddings": 2048,
}
_FAMILIES: Final[Mapping[str, _Family]] = {
    "llama": _Family(("LlamaForCausalLM",), counting.dense(Style())),
    "mistral": _Family(("MistralForCausalLM",), counting.dense(Style())),
    "mixtral": _Family(("MixtralForCausalLM",), counting.mixtral),
    "phi3": _Family(("Phi3ForCausalLM",), counting.dense(Style())),
    "qwen2": _Family(
        ("Qwen2ForCausalLM",), counting.dense(Style(has_qkv_bias=True)), windows_of_qwen
    ),
    "qwen3": _Family(
        ("Qwen3ForCausalLM",), counting.dense(Style(has_qk_norm=True)), windows_of_qwen
    ),
    "qwen3_moe": _Family(
        ("Qwen3MoeForCausalLM",), counting.qwen3_moe, windows_of_qwen, {"decoder_sparse_step": 1}
    ),
    "gemma2": _Family(("Gemma2ForCausalLM",), counting.dense(_GEMMA), windows_of_gemma, _GEMMA2),
    "gemma3_text": _Family(
        ("Gemma3ForCausalLM",),
        counting.dense(_GEMMA._replace(has_qk_norm=True)),
        windows_of_gemma,
        _GEMMA3,
    ),
    "gemma3": _Family(("Gemma3ForConditionalGeneration",), counting.dense(_GEMMA)),
    "deepseek_v2": _Family(("DeepseekV2ForCausalLM",), counting.deepseek, is_latent=True),
    "deepseek_v3": _Family(("DeepseekV3ForCausalLM",), counting.deepseek, is_latent=True),
    "falcon": _Family(
        ("FalconForCausalLM",), counting.falcon, defaults=_FALCON, heads=counting.falcon_heads
    ),
}
