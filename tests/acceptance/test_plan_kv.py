"""What plan kv computes is what vLLM allocates, for every kind of attention."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock_producer.plan.kv.cache import KvCache
from penstock_producer.plan.kv.families import read_architecture
from penstock_producer.plan.kv.sources import find_config
from tests.tiny_models import TINY

TOYS = ("small", "large")
NAMES = (*TINY, *TOYS)
MAX_MODEL_LEN = 2048
BOUND_S = 900
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    made = {}
    for name, config in TINY.items():
        made[name] = root / name
        made[name].mkdir()
        (made[name] / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for toy in TOYS:
        folder = find_config(f"penstock-toys/{toy}").folder
        assert folder is not None
        made[toy] = folder
    return made


@pytest.fixture(scope="module")
def of_vllm(folders: dict[str, Path]) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.kv_probe", *map(str, folders.values()),
         "--max-model-len", str(MAX_MODEL_LEN)],
        env={**os.environ, **ENVIRONMENT},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("probed ")]
    assert len(lines) == len(folders), done.stderr[-3000:]
    found = [json.loads(line.removeprefix("probed ")) for line in lines]
    return dict(zip(folders, found, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_blocks_are_as_large_as_those_that_vllm_allocates(
    name: str, folders: dict[str, Path], of_vllm: dict[str, dict[str, Any]]
) -> None:
    theirs = of_vllm[name]
    architecture = read_architecture(find_config(str(folders[name])).config)
    ours = KvCache(architecture, architecture.dtype, block_tokens=theirs["block_tokens"])
    assert ours.bytes_per_block == theirs["bytes_per_block"]
    assert sum(ours.groups.values()) == len(theirs["groups"])
    assert sum(theirs["groups"]) == len(architecture.layers)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_as_many_as_transformers_builds(
    name: str, folders: dict[str, Path], of_vllm: dict[str, dict[str, Any]]
) -> None:
    architecture = read_architecture(find_config(str(folders[name])).config)
    assert architecture.weights.parameters == of_vllm[name]["parameters"]


@pytest.mark.parametrize("name", NAMES)
def test_a_request_takes_as_many_blocks_as_vllm_says(
    name: str, folders: dict[str, Path], of_vllm: dict[str, dict[str, Any]]
) -> None:
    theirs = of_vllm[name]
    architecture = read_architecture(find_config(str(folders[name])).config)
    ours = KvCache(architecture, architecture.dtype, block_tokens=theirs["block_tokens"])
    need = ours.need(MAX_MODEL_LEN, theirs["in_flight"])
    assert theirs["blocks"] / need.blocks == pytest.approx(theirs["max_concurrency"])
