"""Where a config.json is found, and what is read of a checkpoint."""

import json
import struct
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from penstock_producer.plan.kv.checkpoint import Checkpoint, read_checkpoint
from penstock_producer.plan.kv.planning import Question, plan_kv
from penstock_producer.plan.kv.sources import find_config
from penstock_shared.errors import InvalidRequest
from tests.tiny_models import TINY

CONFIG = TINY["grouped-query"]
PARAMETERS = 459_904


def write_model(folder: Path, config: dict[str, Any] = CONFIG) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def write_tensors(path: Path, **tensors: tuple[str, list[int], int]) -> None:
    """A safetensors file of names, dtypes, shapes and bytes; its data is left out."""
    header, at = {}, 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def test_a_folder_and_a_file_are_read(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    assert find_config(str(folder)).config == CONFIG
    assert find_config(str(folder / "config.json")).folder == folder


def test_a_hub_name_is_looked_for_in_the_cache_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_model(tmp_path / "snapshot")
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *_: str(folder / "config.json")
    )
    assert find_config("meta-llama/Meta-Llama-3-70B").config == CONFIG


@pytest.mark.parametrize("name", ["META-llama/meta-llama-3-70b", "Meta-Llama-3-70B", "llama-3-70b"])
def test_a_shipped_model_is_found_by_its_name(name: str) -> None:
    assert find_config(name).config["num_hidden_layers"] == 80


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("llama-3-70", "did you mean llama-3-70b"),
        ("nobody/nothing-like-it-xyz", "download the model's config.json"),
        ("a name with/two/slashes", "download the model's config.json"),
        ("penstock-toys/huge", "download the model's config.json"),
    ],
)
def test_an_unknown_name_says_what_to_do(model: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        find_config(model)


def test_a_folder_without_config_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"no config\.json"):
        find_config(str(tmp_path))
    for text in ("{", "[]", "\x00"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(InvalidRequest):
            find_config(str(tmp_path))


def test_parameters_are_counted_from_headers(tmp_path: Path) -> None:
    write_model(tmp_path)
    write_tensors(tmp_path / "model.safetensors", all=("BF16", [PARAMETERS], 2 * PARAMETERS))
    plan = plan_kv(str(tmp_path), Question([100]))
    assert (plan.parameters, plan.parameters_from) == (PARAMETERS, "safetensors")
    assert plan.weights_bytes["stored"] == plan.weights_bytes["bf16"] == 2 * PARAMETERS
    assert plan.notes == ()


def test_a_checkpoint_with_more_than_its_config_is_noted(tmp_path: Path) -> None:
    write_model(tmp_path)
    write_tensors(tmp_path / "model.safetensors", all=("BF16", [500_000], 1_000_000))
    assert "500,000" in plan_kv(str(tmp_path), Question([100])).notes[0]


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path)
    write_tensors(tmp_path / "model.safetensors", all=("BF16", [500], 1_000))
    with pytest.raises(InvalidRequest, match="do not belong together"):
        plan_kv(str(tmp_path), Question([100]))


def test_packed_numbers_are_not_counted(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", w=("I32", [10, 4], 160), s=("BF16", [10], 20))
    assert read_checkpoint(tmp_path, 2, is_quantized=True) == Checkpoint(180, None)


def test_an_index_is_enough_and_says_which_files_count(tmp_path: Path) -> None:
    index = {"metadata": {"total_size": 4_000}, "weight_map": {"w": "model-1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read_checkpoint(tmp_path, 2, is_quantized=False) == Checkpoint(4_000, 2_000)
    assert read_checkpoint(tmp_path, 2, is_quantized=True) == Checkpoint(4_000, None)
    write_tensors(tmp_path / "model-1.safetensors", w=("F16", [7], 14))
    write_tensors(tmp_path / "consolidated.safetensors", w=("F16", [7], 14))
    assert read_checkpoint(tmp_path, 2, is_quantized=False) == Checkpoint(14, 7)


@pytest.mark.parametrize("content", [b"", b"\x01", b"\xff" * 20, struct.pack("<Q", 3) + b"{]}"])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InvalidRequest, match="no safetensors file"):
        read_checkpoint(tmp_path, 2, is_quantized=False)
