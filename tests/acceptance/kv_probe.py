"""Loads models with vLLM on the CPU and prints what KV cache it made for each, as JSON lines.

A process of its own: python -m tests.acceptance.kv_probe FOLDER... --max-model-len N
"""

import argparse
import json
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from vllm import EngineArgs
from vllm.v1.engine.llm_engine import LLMEngine

_KV_CACHE_BYTES = 64 * 2**20
_BATCHED_TOKENS = 256


def probe(folder: str, max_model_len: int) -> dict[str, Any]:
    """What vLLM allocates for a model; weights are random where the folder has none."""
    engine = LLMEngine.from_engine_args(
        EngineArgs(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            enforce_eager=True,
            max_model_len=max_model_len,
            max_num_batched_tokens=_BATCHED_TOKENS,
            kv_cache_memory_bytes=_KV_CACHE_BYTES,
            distributed_executor_backend="uni",
        )
    )
    cache = engine.engine_core.engine_core.scheduler.kv_cache_config
    config = engine.vllm_config
    [size] = {tensor.size for tensor in cache.kv_cache_tensors}
    facts = {
        "bytes_per_block": size // cache.num_blocks,
        "blocks": cache.num_blocks,
        "block_tokens": config.cache_config.block_size,
        "in_flight": config.max_in_flight_tokens,
        "groups": [len(group.layer_names) for group in cache.kv_cache_groups],
        "parameters": _parameters(folder),
        "max_concurrency": config.cache_config.kv_cache_max_concurrency,
    }
    engine.engine_core.shutdown()
    return facts


def _parameters(folder: str) -> int:
    """Of the model that transformers builds; DeepSeek's bias of experts is a buffer there."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    biases = (b for name, b in model.named_buffers() if name.endswith("e_score_correction_bias"))
    return int(model.num_parameters() + sum(bias.numel() for bias in biases))


def main() -> None:
    """Probe one model after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--max-model-len", type=int, required=True)
    options = parser.parse_args()
    for folder in options.folders:
        print("probed " + json.dumps(probe(folder, options.max_model_len)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
