"""Options that vLLM once had and that tutorials still show, with today's spelling to copy."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_TOKENS: Final = 5  # what an example drafts where the user named no number
_BATCH: Final = 32
_ROPE_THETA: Final = 1_000_000.0


class Advice(NamedTuple):
    """What to write instead of an old option."""

    why: str
    today: str = ""  # a line of TOML; empty: delete the old one

    def __str__(self) -> str:
        action = f"write {self.today}" if self.today else "delete the line"
        return f"vLLM no longer has this option: {self.why}; {action}"


def advice_for(option: str, tier: Mapping[str, Any]) -> Advice | None:
    """Advice on an old option of a tier, with the tier's own values; None: it never was one."""
    if option in _SPECULATION:
        return Advice(_SPECULATION[option], speculation_of(tier))
    if option in _RENAMED:
        today, why = _RENAMED[option]
        return Advice(why, f"{today} = {to_toml(tier[option])}")
    if option in {"rope_scaling", "rope_theta"}:
        overrides = to_toml({"rope_parameters": _rope(tier)})
        return Advice(
            "it is part of the model's configuration, all of it together",
            f"hf_overrides = {overrides}",
        )
    return _OTHERS.get(option)


def advice_for_speculation(option: str, config: Mapping[str, Any]) -> Advice | None:
    """The same for an option inside speculative_config."""
    if option == "disable_by_batch_size":
        return Advice(_SCHEDULE, f"{_PER_BATCH} = {to_toml(_schedule(config, option))}")
    if option in _RENAMED_SPECULATION:
        today = _RENAMED_SPECULATION[option]
        return Advice(f"it is called {today}", f"{today} = {to_toml(config[option])}")
    return _OTHERS_OF_SPECULATION.get(option)


def old_options() -> list[str]:
    """All options of a tier that ``advice_for`` knows."""
    return sorted({*_SPECULATION, *_RENAMED, "rope_scaling", "rope_theta", *_OTHERS})


def old_speculative_options() -> list[str]:
    """All options of speculative_config that ``advice_for_speculation`` knows."""
    return sorted({"disable_by_batch_size", *_RENAMED_SPECULATION, *_OTHERS_OF_SPECULATION})


def speculation_of(tier: Mapping[str, Any]) -> str:
    """The speculative_config that says what a tier's old options said."""
    model = tier.get("speculative_model", tier.get("spec_model"))
    is_ngram = (
        "ngram_prompt_lookup_max" in tier if model is None else str(model).strip("[]") == "ngram"
    )
    method = "ngram" if is_ngram else str(tier.get("spec_method", "draft_model"))
    config: dict[str, Any] = {"method": method}
    if method in {"draft_model", "eagle", "eagle3", "medusa"} or (model and not is_ngram):
        config["model"] = model or "the-draft-model"
    config["num_speculative_tokens"] = _tokens(tier)
    for old, today in _SAME_VALUE.items():
        if old in tier:
            config[today] = tier[old]
    if "speculative_disable_by_batch_size" in tier:
        config[_PER_BATCH] = _schedule(tier, "speculative_disable_by_batch_size")
    return f"speculative_config = {to_toml(config)}"


def to_toml(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {to_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return json.dumps(value, default=str)


def _rope(tier: Mapping[str, Any]) -> dict[str, Any]:
    scaling = tier.get("rope_scaling")
    given = dict(scaling) if isinstance(scaling, Mapping) else {}
    kind = given.pop("type", given.pop("rope_type", "default"))
    return {"rope_type": kind, **given, "rope_theta": tier.get("rope_theta", _ROPE_THETA)}


def _tokens(options: Mapping[str, Any]) -> int:
    given = options.get("num_speculative_tokens", options.get("spec_tokens"))
    return given if isinstance(given, int) and given > 0 else _TOKENS


def _schedule(options: Mapping[str, Any], disabled_from: str) -> list[list[int]]:
    """Full speculation up to a batch size, none from there on."""
    given = options[disabled_from]
    most = given if isinstance(given, int) and given > 0 else _BATCH
    return [[1, most, _tokens(options)], [most + 1, most + 1, 0]]


_PER_BATCH: Final = "num_speculative_tokens_per_batch_size"
_TABLE: Final = "it stands in the table speculative_config"
_SCHEDULE: Final = "a schedule of [first batch size, last, tokens] has replaced it"
_SAMPLER: Final = "rejection sampling is the only acceptance left"
_SAME_VALUE: Final = {
    "ngram_prompt_lookup_max": "prompt_lookup_max",
    "ngram_prompt_lookup_min": "prompt_lookup_min",
    "speculative_draft_tensor_parallel_size": "draft_tensor_parallel_size",
    "speculative_max_model_len": "max_model_len",
    "speculative_model_quantization": "quantization",
}
_SPECULATION: Final = {
    "speculative_model": _TABLE,
    "num_speculative_tokens": _TABLE,
    **dict.fromkeys(_SAME_VALUE, _TABLE),
    "speculative_disable_by_batch_size": _SCHEDULE,
    "speculative_disable_mqa_scorer": "there is one scorer only",
    "spec_decoding_acceptance_method": _SAMPLER,
    "typical_acceptance_sampler_posterior_threshold": _SAMPLER,
    "typical_acceptance_sampler_posterior_alpha": _SAMPLER,
}
_RENAMED: Final = {
    "cuda_graph_sizes": ("cudagraph_capture_sizes", "it has another name"),
    "override_neuron_config": ("additional_config", "it has another name"),
}
_OTHERS: Final = {
    "use_v2_block_manager": Advice("there is only one block manager"),
    "swap_space": Advice(
        "a preempted request is computed again; KV blocks go to the host's memory with another "
        "option, in GiB",
        "kv_offloading_size = 4",
    ),
    "num_lookahead_slots": Advice("the engine counts them from num_speculative_tokens"),
    "preemption_mode": Advice("a preempted request is always computed again"),
    "num_scheduler_steps": Advice(
        "the scheduler works while the device computes", "async_scheduling = true"
    ),
    "multi_step_stream_outputs": Advice("there are no multi-step chunks any more"),
    "max_seq_len_to_capture": Advice(
        "graphs are captured by the number of tokens in a step", "max_cudagraph_capture_size = 512"
    ),
    "max_context_len_to_capture": Advice(
        "graphs are captured by the number of tokens in a step", "max_cudagraph_capture_size = 512"
    ),
    "worker_use_ray": Advice(
        "Ray is chosen by name, for several devices", 'distributed_executor_backend = "ray"'
    ),
    "engine_use_ray": Advice("the engine runs in a process of its worker"),
    "disable_log_requests": Advice("requests are not logged unless asked for"),
    "max_log_len": Advice("requests are not logged"),
    "guided_decoding_backend": Advice(
        "it stands in a table", 'structured_outputs_config = { backend = "auto" }'
    ),
    "device": Advice("the build of vLLM knows its devices; choose one by CUDA_VISIBLE_DEVICES"),
    "task": Advice("Penstock generates text only"),
    "quantization_param_path": Advice(
        "the scales are part of the checkpoint", 'kv_cache_dtype = "fp8"'
    ),
    "calculate_kv_scales": Advice("the scales are part of the checkpoint"),
    "tokenizer_pool_size": Advice("the worker tokenizes, outside the engine"),
    "tokenizer_pool_type": Advice("the worker tokenizes, outside the engine"),
    "tokenizer_pool_extra_config": Advice("the worker tokenizes, outside the engine"),
    "scheduler_delay_factor": Advice("a waiting prompt enters the next step"),
    "disable_async_output_proc": Advice("it has another name", "async_scheduling = false"),
    "max_paddings": Advice("there is no padding"),
    "max_num_partial_prefills": Advice("long prompts are chunked", "enable_chunked_prefill = true"),
    "max_long_partial_prefills": Advice(
        "long prompts are chunked", "enable_chunked_prefill = true"
    ),
    "disable_logprobs_during_spec_decoding": Advice("log probabilities cost nothing extra"),
    "qlora_adapter_name_or_path": Advice("the quantization of the base model says it"),
    "enable_lora_bias": Advice("adapters have no bias"),
    "lora_extra_vocab_size": Advice("adapters add no tokens"),
    "long_lora_scaling_factors": Advice("there are no long-context adapters"),
    "enable_prompt_adapter": Advice("there are no prompt adapters"),
    "max_prompt_adapters": Advice("there are no prompt adapters"),
    "max_prompt_adapter_token": Advice("there are no prompt adapters"),
    "image_input_type": Advice("the model's configuration says it"),
    "image_token_id": Advice("the model's configuration says it"),
    "image_input_shape": Advice("the model's configuration says it"),
    "image_feature_size": Advice("the model's configuration says it"),
    "mm_cache_preprocessor": Advice("it is a size now", "mm_processor_cache_gb = 4"),
    "disable_mm_preprocessor_cache": Advice("it is a size now", "mm_processor_cache_gb = 0"),
    "override_pooler_config": Advice("Penstock generates text only"),
    "enable_reasoning": Advice("the name of a parser is enough", 'reasoning_parser = "qwen3"'),
    "full_cuda_graph": Advice(
        "it stands in a table", 'compilation_config = { cudagraph_mode = "FULL" }'
    ),
    "use_fastsafetensors": Advice("it is a format", 'load_format = "fastsafetensors"'),
}
_RENAMED_SPECULATION: Final = {
    "draft_model": "model",
    "speculative_model": "model",
    **_SAME_VALUE,
    "tensor_parallel_size": "draft_tensor_parallel_size",
}
_OTHERS_OF_SPECULATION: Final = {
    "acceptance_method": Advice(_SAMPLER, 'rejection_sample_method = "standard"'),
    "spec_decoding_acceptance_method": Advice(_SAMPLER, 'rejection_sample_method = "standard"'),
    "posterior_threshold": Advice(_SAMPLER),
    "posterior_alpha": Advice(_SAMPLER),
    "typical_acceptance_sampler_posterior_threshold": Advice(_SAMPLER),
    "typical_acceptance_sampler_posterior_alpha": Advice(_SAMPLER),
    "disable_mqa_scorer": Advice("there is one scorer only"),
    "disable_logprobs": Advice("log probabilities cost nothing extra"),
    "disable_log_stats": Advice("Penstock counts what was drafted and accepted"),
    "num_lookahead_slots": Advice("the engine counts them from num_speculative_tokens"),
    "speculative_token_tree": Advice("drafts are chains"),
}
