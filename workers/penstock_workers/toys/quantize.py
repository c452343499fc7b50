"""A Llama folder with quantized linear layers, in the compressed-tensors format that vLLM reads.

`python -m penstock_workers.toys.quantize --scheme int4 MODEL OUT` rounds each weight to the nearest
multiple of a scale, without calibration. A scale is the largest of its weights, by size, divided by
half the range of the integers (127.5 or 7.5):

- int8 (W8A8): a scale for each output channel. vLLM rounds activations itself, token by token.
- int4 (W4A16): a scale for each 32 inputs of an output channel. To search each group for a smaller
  scale took 9% off the error of the toys' weights, but kept no more of their answers the same.

Embeddings, output layer, norms and biases stay as they are. The same input gives the same bytes.
"""

import argparse
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

Scheme = Literal["int8", "int4"]

GROUP_SIZE = 32
TOKENIZER_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)
_PROJECTIONS = (
    *(f"self_attn.{part}_proj" for part in "qkvo"),
    *(f"mlp.{part}_proj" for part in ("gate", "up", "down")),
)
_EMBEDDING = "model.embed_tokens.weight"
_KEPT_MATRICES = {_EMBEDDING, "lm_head.weight"}


class NotQuantizable(ValueError):
    """The folder cannot be quantized; the message says why, in one line."""


def quantize_folder(scheme: Scheme, model: Path, out: Path) -> None:
    """Write `model` with its linear layers quantized to the new folder `out`, whole or not at all.

    Raises:
        NotQuantizable: if `out` exists or `model` does not fit the scheme.
    """
    if out.exists():
        raise NotQuantizable(f"{out} exists already")
    config, tensors = _read(model)
    for name in _linear_layers(model, config, tensors):
        weight = tensors.pop(f"{name}.weight")
        _check(scheme, name, weight)
        tensors |= {f"{name}.{part}": value for part, value in _METHODS[scheme](weight).items()}
    config["quantization_config"] = quantization_config(scheme)
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file(tensors, fresh / "model.safetensors", metadata={"format": "pt"})
    (fresh / "model.safetensors").chmod(0o644)
    (fresh / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in TOKENIZER_FILES:
        if (model / name).exists():
            shutil.copyfile(model / name, fresh / name)
    fresh.replace(out)


def quantize_int8(weight: Tensor) -> dict[str, Tensor]:
    """A weight [outputs, inputs] as `weight` int8 [outputs, inputs] times its scale.

    `weight_scale` is float32 [outputs, 1]; a product is off by half a scale at most.
    """
    rounded, scale = _round(weight, 8, weight.shape[1], torch.float32)
    return {"weight": rounded, "weight_scale": scale}


def quantize_int4(weight: Tensor) -> dict[str, Tensor]:
    """A weight [outputs, inputs] as `weight_packed` int32 [outputs, inputs / 8] times its scale.

    Each int32 holds eight values of -8..7. `weight_scale` [outputs, inputs / GROUP_SIZE] has the
    weight's own type, `weight_shape` is int64 [2]. A product is off by half a scale at most, and
    up to a 32nd of a scale more at the ends of the range, since the scale is rounded too.
    """
    # Here, since this import takes seconds and int8 needs none of it.
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    rounded, scale = _round(weight, 4, GROUP_SIZE, weight.dtype)
    return {
        "weight_packed": pack_to_int32(rounded, 4),
        "weight_scale": scale,
        "weight_shape": torch.tensor(weight.shape),
    }


def quantization_config(scheme: Scheme) -> dict[str, Any]:
    """What config.json says of the scheme, under `quantization_config`."""
    int8 = scheme == "int8"
    common = {"type": "int", "symmetric": True}
    weights = {"num_bits": 8, "strategy": "channel", "group_size": None}
    if not int8:
        weights = {"num_bits": 4, "strategy": "group", "group_size": GROUP_SIZE}
    activations = {"num_bits": 8, "strategy": "token", "dynamic": True, **common}
    return {
        "quant_method": "compressed-tensors",
        "format": "int-quantized" if int8 else "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {**weights, "dynamic": False, **common},
                "input_activations": activations if int8 else None,
            }
        },
        "ignore": ["lm_head"],
    }


_METHODS: Mapping[Scheme, Callable[[Tensor], dict[str, Tensor]]] = {
    "int8": quantize_int8,
    "int4": quantize_int4,
}


def _round(weight: Tensor, bits: int, group: int, scale_type: torch.dtype) -> tuple[Tensor, Tensor]:
    """Integers int8 [outputs, inputs] and scales [outputs, inputs / group] for a weight."""
    groups = weight.float().unflatten(1, (-1, group))
    half = 2 ** (bits - 1)
    largest = groups.abs().amax(dim=-1, keepdim=True)
    # Never 0, so that a group of zeros divides too.
    scale = (largest / (half - 0.5)).to(scale_type).clamp(min=torch.finfo(scale_type).tiny)
    rounded = (groups / scale.float()).round().clamp(-half, half - 1)
    return rounded.flatten(1).to(torch.int8), scale.squeeze(-1)


def _read(model: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        tensors = {
            k: v for f in sorted(model.glob("*.safetensors")) for k, v in load_file(f).items()
        }
    except (OSError, ValueError, SafetensorError) as error:
        raise NotQuantizable(f"{model} is no model folder: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("num_hidden_layers"), int):
        raise NotQuantizable(f"{model} is no Llama: its config.json has no num_hidden_layers")
    if "quantization_config" in config:
        raise NotQuantizable(f"{model} is quantized already")
    return config, tensors


def _linear_layers(
    model: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> list[str]:
    layers = range(config["num_hidden_layers"])
    names = [f"model.layers.{layer}.{part}" for layer in layers for part in _PROJECTIONS]
    needed = {_EMBEDDING, *(f"{name}.weight" for name in names)}
    matrices = {name for name, value in tensors.items() if value.ndim > 1}
    if missing := sorted(needed - matrices):
        raise NotQuantizable(f"{model} is no Llama: no matrix is called {missing[0]}")
    # vLLM would look for scales of any other matrix too.
    if unknown := sorted(matrices - needed - _KEPT_MATRICES):
        raise NotQuantizable(f"{model} is no Llama: it has a matrix called {unknown[0]}")
    return names


def _check(scheme: Scheme, name: str, weight: Tensor) -> None:
    if not weight.is_floating_point() or not weight.isfinite().all():
        raise NotQuantizable(f"{name}: the weights are no finite floating-point numbers")
    if scheme == "int4" and weight.shape[1] % GROUP_SIZE:
        raise NotQuantizable(f"{name}: {weight.shape[1]} inputs do not divide by {GROUP_SIZE}")


def main() -> None:
    """Read the options and quantize."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scheme", choices=get_args(Scheme), required=True)
    parser.add_argument("model", type=Path, help="folder with config.json and *.safetensors")
    parser.add_argument("out", type=Path, help="folder to make")
    options = parser.parse_args()
    try:
        quantize_folder(options.scheme, options.model, options.out)
    except NotQuantizable as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
