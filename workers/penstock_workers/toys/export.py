"""A trained toy as a folder that transformers and vLLM load."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from penstock_workers.toys.model import HEAD_DIM, NORM_EPS, ROPE_THETA, Dimensions, ToyLlama
from penstock_workers.toys.tokenizer import END_ID, PAD_ID, save_tokenizer


def export(model: ToyLlama, size: Dimensions, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the model folder in bf16; an older one is replaced whole, never half."""
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    weights = {
        f"model.{name}": value.detach().to(torch.bfloat16).cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(weights, fresh / "model.safetensors", metadata={"format": "pt"})
    (fresh / "model.safetensors").chmod(0o644)
    (fresh / "config.json").write_text(json.dumps(_config(size), indent=2) + "\n")
    save_tokenizer(tokenizer, fresh, size.max_tokens)
    _swap(fresh, folder)


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of an exported folder, in float32, under the names that ToyLlama gives them."""
    stored = load_file(folder / "model.safetensors")
    return {name.removeprefix("model."): value.float() for name, value in stored.items()}


def _swap(fresh: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    fresh.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def _config(size: Dimensions) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": size.vocabulary,
        "hidden_size": size.width,
        "intermediate_size": size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "max_position_embeddings": size.max_tokens,
        "rms_norm_eps": NORM_EPS,
        "rope_theta": ROPE_THETA,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": END_ID,
        "pad_token_id": PAD_ID,
        "dtype": "bfloat16",
    }
