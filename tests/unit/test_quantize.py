"""Quantized toys: what is written, how far it is off, and what is refused."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from penstock_workers.toys import quantize
from penstock_workers.toys.quantize import GROUP_SIZE, NotQuantizable, Scheme, quantize_folder

# compressed_tensors compiles something as it is imported, which torch warns of.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

WIDTH, HIDDEN, LAYERS, VOCABULARY = 32, 64, 2, 16
DOWN = "model.layers.1.mlp.down_proj"
UP = "model.layers.0.mlp.up_proj"


def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)

    def matrix(outputs: int, inputs: int) -> Tensor:
        return (torch.randn(outputs, inputs) / 8).bfloat16()

    made = {
        "model.embed_tokens.weight": matrix(VOCABULARY, WIDTH),
        "model.norm.weight": torch.ones(WIDTH).bfloat16(),
    }
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        made[f"{prefix}.input_layernorm.weight"] = torch.ones(WIDTH).bfloat16()
        for name in "qkvo":
            made[f"{prefix}.self_attn.{name}_proj.weight"] = matrix(WIDTH, WIDTH)
        for name in ("gate", "up"):
            made[f"{prefix}.mlp.{name}_proj.weight"] = matrix(HIDDEN, WIDTH)
        made[f"{prefix}.mlp.down_proj.weight"] = matrix(WIDTH, HIDDEN)
    made[f"{DOWN}.weight"][3] = 0
    return made


def write(folder: Path, tensors: dict[str, Tensor], **config: object) -> Path:
    folder.mkdir()
    parts = sorted(tensors)
    for number, names in enumerate((parts[:5], parts[5:])):
        save_file({name: tensors[name] for name in names}, folder / f"model-{number}.safetensors")
    known = {"model_type": "llama", "num_hidden_layers": LAYERS, "tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(known | config))
    for name in ("tokenizer.json", "tokenizer_config.json", "metrics.json"):
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model", weights())


def products(scheme: Scheme, stored: dict[str, Tensor]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, weight and the scales that broadcast to it, for every quantized layer."""
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    for key, value in stored.items():
        name, is_scale, _ = key.partition(".weight_scale")
        if is_scale and scheme == "int8":
            yield name, stored[f"{name}.weight"] * value, value
        elif is_scale:
            shape = torch.Size(stored[f"{name}.weight_shape"].tolist())
            scale = value.float().repeat_interleave(GROUP_SIZE, dim=1)
            yield name, unpack_from_int32(stored[f"{name}.weight_packed"], 4, shape) * scale, scale


@pytest.mark.parametrize(("scheme", "bound"), [("int8", 0.50001), ("int4", 0.5 + 1 / 32)])
def test_a_weight_is_off_by_half_a_scale_at_most(
    scheme: Scheme, bound: float, model: Path, tmp_path: Path
) -> None:
    quantize_folder(scheme, model, tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    exact, layers = weights(), 0
    for name, product, scale in products(scheme, stored):
        layers += 1
        assert ((product - exact[f"{name}.weight"].float()).abs() <= bound * scale).all()
    assert layers == 7 * LAYERS


def test_int8_has_a_scale_for_each_output(model: Path, tmp_path: Path) -> None:
    quantize_folder("int8", model, tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    weight, scale = stored[f"{UP}.weight"], stored[f"{UP}.weight_scale"]
    assert (weight.dtype, weight.shape) == (torch.int8, (HIDDEN, WIDTH))
    assert (scale.dtype, scale.shape) == (torch.float32, (HIDDEN, 1))
    assert (weight.int().abs().amax(dim=1) >= 127).all()


def test_int4_has_a_scale_for_each_group_and_the_first_input_lowest(
    model: Path, tmp_path: Path
) -> None:
    quantize_folder("int4", model, tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    packed, scale = stored[f"{DOWN}.weight_packed"], stored[f"{DOWN}.weight_scale"]
    assert (packed.dtype, packed.shape) == (torch.int32, (WIDTH, HIDDEN // 8))
    assert (scale.dtype, scale.shape) == (torch.bfloat16, (WIDTH, HIDDEN // GROUP_SIZE))
    assert stored[f"{DOWN}.weight_shape"].dtype == torch.int64
    assert stored[f"{DOWN}.weight_shape"].tolist() == [WIDTH, HIDDEN]
    first = weights()[f"{DOWN}.weight"][0, :8].float() / scale[0, 0].float()
    nibbles = [((int(packed[0, 0]) >> 4 * i) & 15) - 8 for i in range(8)]
    assert nibbles == first.round().clamp(-8, 7).int().tolist()


@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_embeddings_and_norms_stay_as_they_are(scheme: Scheme, model: Path, tmp_path: Path) -> None:
    quantize_folder(scheme, model, tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    kept = {name: value for name, value in weights().items() if "_proj" not in name}
    assert all(torch.equal(stored[name], value) for name, value in kept.items())
    assert {name for name in stored if "_proj" not in name} == set(kept)


@pytest.mark.parametrize(
    ("scheme", "form", "bits", "strategy"),
    [("int8", "int-quantized", 8, "channel"), ("int4", "pack-quantized", 4, "group")],
)
def test_the_config_says_how(
    scheme: Scheme, form: str, bits: int, strategy: str, model: Path, tmp_path: Path
) -> None:
    from compressed_tensors.quantization import QuantizationConfig

    quantize_folder(scheme, model, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["model_type"] == "llama"
    found = config["quantization_config"]
    assert (found["quant_method"], found["ignore"]) == ("compressed-tensors", ["lm_head"])
    read = QuantizationConfig.model_validate(found)
    group = read.config_groups["group_0"]
    assert (read.format, group.targets) == (form, ["Linear"])
    assert (group.weights.num_bits, group.weights.strategy) == (bits, strategy)
    assert (group.input_activations is None) == (scheme == "int4")


@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_the_same_input_gives_the_same_bytes(scheme: Scheme, model: Path, tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        quantize_folder(scheme, model, folder)
    one, two = ({path.name: path.read_bytes() for path in f.iterdir()} for f in folders)
    assert one == two
    assert set(one) == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_what_does_not_fit_is_refused(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def refuses(folder: Path, why: str, scheme: Scheme = "int4") -> None:
        with pytest.raises(NotQuantizable, match=why) as refused:
            quantize_folder(scheme, folder, out)
        assert "\n" not in str(refused.value)
        assert not out.exists()

    good = weights()
    refuses(tmp_path / "nowhere", "no model folder")
    refuses(write(tmp_path / "empty", {}), "no matrix is called model.embed_tokens.weight")
    refuses(write(tmp_path / "more", good, num_hidden_layers=3), "called model.layers.2.mlp.down")
    refuses(write(tmp_path / "odd", good | {"model.gate.weight": torch.ones(2, 2)}), "model.gate")
    refuses(write(tmp_path / "done", good, quantization_config={}), "quantized already")
    refuses(write(tmp_path / "nan", good | {f"{UP}.weight": torch.ones(2, 32) / 0}), "finite")
    narrow = write(tmp_path / "narrow", good | {f"{UP}.weight": torch.ones(64, 24).bfloat16()})
    refuses(narrow, "24 inputs do not divide by 32")
    quantize_folder("int8", narrow, out)
    with pytest.raises(NotQuantizable, match="exists already"):
        quantize_folder("int8", model, out)


def test_the_command_refuses_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--scheme", "int8", str(tmp_path / "nowhere"), str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["quantize", *arguments])
    with pytest.raises(SystemExit) as stopped:
        quantize.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("quantize: ")
