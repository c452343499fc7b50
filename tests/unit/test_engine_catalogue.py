"""The names of vLLM that Penstock ships are those of the vLLM that it runs on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock_shared import engine_catalogue
from penstock_shared.engine_catalogue import catalogue, installed, read, snapshot
from penstock_shared.tier_settings import TierSettings


@pytest.fixture
def fresh() -> Iterator[None]:
    """Forget what was read before and after."""
    catalogue.cache_clear()
    yield
    catalogue.cache_clear()


def vllm_source() -> Path:
    package = installed()
    if package is None:
        pytest.skip("vLLM is not installed")
    return package


def another_vllm(folder: Path, version: str) -> Path:
    """vLLM's source with one more option, method and quantization."""
    changes = {
        "_version.py": ("", f"__version__ = version = '{version}'\n"),
        "engine/arg_utils.py": ("    max_num_seqs: int", "    warp_drive: bool = False\n"),
        "config/speculative.py": ('    "medusa",\n', '    "oracle",\n'),
        "config/model.py": ("", ""),
        "config/cache.py": ("", ""),
        "model_executor/layers/quantization/__init__.py": ('    "awq",\n', '    "int1",\n'),
    }
    for name, (before, new) in changes.items():
        source = (vllm_source() / name).read_text(encoding="utf-8")
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        text = source.replace(before, new + before, 1) if before else new or source
        place.write_text(text, encoding="utf-8")
    return folder


def test_the_snapshot_is_what_the_installed_vllm_knows() -> None:
    package = vllm_source()
    assert snapshot() == read(package), "python -m penstock_shared.engine_catalogue writes it anew"


def test_reading_it_does_not_import_vllm(fresh: None) -> None:
    before = "vllm" in sys.modules
    assert catalogue() == snapshot()
    assert ("vllm" in sys.modules) == before


def test_fields_that_only_vllm_fills_are_no_options() -> None:
    names = snapshot()
    assert "target_model_config" not in names.speculative_options
    assert "tensor_parallel_size" not in names.speculative_options
    assert [name for name in names.options if name.startswith("_")] == []


@pytest.mark.parametrize("field", ["dtype", "tensor_parallel_size", "gpu_memory_utilization"])
def test_the_defaults_that_are_written_down_are_vllms(field: str) -> None:
    source = {
        "dtype": "config/model.py",
        "tensor_parallel_size": "config/parallel.py",
        "gpu_memory_utilization": "config/cache.py",
    }[field]
    default = TierSettings.model_fields[field].default
    lines = (vllm_source() / source).read_text(encoding="utf-8").splitlines()
    [line, *_] = [line for line in lines if line.strip().startswith(f"{field}: ")]
    assert str(default) in line


def test_names_of_a_newer_vllm_are_read_from_its_source(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = another_vllm(tmp_path, "0.33.1+cpu")
    monkeypatch.setattr(engine_catalogue, "installed", lambda: newer)
    assert catalogue().vllm == "0.33.1"
    tier = TierSettings(
        model="m",
        price_per_hour=1,
        quantization="int1",
        speculative_config={"method": "oracle"},
        warp_drive=True,
    )
    assert tier.engine_options()["warp_drive"] is True


@pytest.mark.parametrize("broken", ["engine/arg_utils.py", "config/speculative.py"])
def test_a_vllm_whose_source_looks_different_leaves_the_snapshot(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    other = another_vllm(tmp_path, "9.0.0")
    (other / broken).write_text("def", encoding="utf-8")
    monkeypatch.setattr(engine_catalogue, "installed", lambda: other)
    assert catalogue() == snapshot()


def test_without_vllm_the_snapshot_counts(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_catalogue, "installed", lambda: None)
    assert catalogue() == snapshot()
