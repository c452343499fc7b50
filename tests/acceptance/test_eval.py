"""penstock-worker eval on real engines: scores, gates that the router obeys, and going on."""

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from penstock_shared.request import Request
from penstock_shared.routing import route
from penstock_shared.settings import load_settings
from penstock_workers.toys.suite import cases
from tests.acceptance.command import BIN, wait_until

BOUND_S = 600
PER_TASK = 40
TOTAL = 2 * (2 * PER_TASK + 8)
TRIES = 5
TOML = """
[tiers.small]
model = "penstock-toys/small"
price_per_hour = 1
max_model_len = 1024
enforce_eager = true

[tiers.large]
model = "penstock-toys/large"
price_per_hour = 4
max_model_len = 2048
enforce_eager = true

[[routing.rules]]
name = "all"
tier = "small"
"""
SUM = "Tom has 12 apples and finds 7 more. How many apples does Tom have in total?"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a penstock.toml of two tiers and a suite of three task types."""
    folder = tmp_path_factory.mktemp("eval")
    (folder / "penstock.toml").write_text(TOML)
    wanted = Counter({"factual_qa": PER_TASK, "reasoning": PER_TASK, "code": 8})
    with (folder / "suite.jsonl").open("w", encoding="utf-8") as file:
        for case in cases():
            if wanted[case["task_type"]] > 0:
                wanted[case["task_type"]] -= 1
                file.write(json.dumps(case) + "\n")
    return folder


def started(place: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PENSTOCK_HOME": str(place / "home")}
    environment.pop("PENSTOCK_CONFIG", None)
    return subprocess.Popen(
        [str(BIN / "penstock-worker"), "eval", *arguments],
        env=environment,
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(place: Path, *arguments: str) -> dict[str, Any]:
    process = started(place, *arguments, "--json")
    said, complained = process.communicate(timeout=BOUND_S)
    assert process.returncode == 0, complained
    found: dict[str, Any] = json.loads(said)
    return found


def answered(folder: Path) -> list[tuple[str, str]]:
    journal = folder / "measured.jsonl"
    if not journal.exists():
        return []
    lines = [json.loads(line) for line in journal.read_text().split("\n")[:-1]]
    return [(line["engine"], line["fact"][0]) for line in lines if line["kind"] == "Answer"]


def interrupted(place: Path) -> list[tuple[str, str]]:
    """What an evaluation had answered when Ctrl-C stopped it in the middle."""
    for _ in range(TRIES):
        process = started(place, "quality", "suite.jsonl", "--out", "found", "--concurrency", "1")
        wait_until(lambda: len(answered(place / "found")) >= 10, BOUND_S)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=BOUND_S)
        before = answered(place / "found")
        if len(before) < TOTAL:
            return before
        shutil.rmtree(place / "found")  # it had ended before it heard of the signal
    pytest.fail(f"{TRIES} evaluations ended before they heard of Ctrl-C")


def test_quality_goes_on_after_an_interruption_and_the_router_obeys_its_gates(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = interrupted(place)
    report = run(place, "quality", "suite.jsonl", "--out", "found")
    after = answered(place / "found")
    assert after[: len(before)] == before
    assert len(after) == len(set(after)) == TOTAL
    assert report["reference"] == "large"
    scores = {(s["engine"], s["task_type"]): s for s in report["scores"]}
    assert scores["large", "reasoning"]["score"]["value"] > 0.7
    assert scores["small", "reasoning"]["significant"]
    assert all(engine["tokens_per_s"] > 0 for engine in report["engines"])
    assert all(engine["kv_cache_tokens"] > 0 for engine in report["engines"])
    assert (place / "found" / "quality.png").stat().st_size > 10_000

    gates = run(place, "gates", "found/quality.json", "--tolerance", "0.1")
    assert gates["tiers"]["small"]["task_types"]["factual_qa"]["passed"]
    assert not gates["tiers"]["small"]["task_types"]["reasoning"]["passed"]
    monkeypatch.chdir(place)
    settings = load_settings(place / "home")
    chosen = route(Request.build(SUM), settings)
    assert chosen.tier == "large"
    assert "small failed its gate for reasoning (" in chosen.reason
    assert route(Request.build("What is the capital of Peru?"), settings).tier == "small"


def test_speculation_reports_what_was_accepted_and_what_it_gained(place: Path) -> None:
    report = run(
        place, "speculation", "suite.jsonl", "--draft", "penstock-toys/draft", "--tokens", "3",
        "--no-ngram", "--batch-size", "1", "--batch-size", "4", "--rounds", "1", "--out", "ahead",
    )  # fmt: skip
    assert {m["batch_size"] for m in report["measurements"]} == {1, 4}
    assert {m["variant"] for m in report["measurements"]} == {"draft 3", "draft 0"}
    drafting = [m for m in report["measurements"] if m["variant"] == "draft 3"]
    assert all(m["acceptance_rate"] > 0.2 for m in drafting)
    assert all(m["speed_up"]["median"] > 0 for m in report["measurements"])
    assert (place / "ahead" / "speculation.png").stat().st_size > 10_000


def test_batching_finds_a_knee(place: Path) -> None:
    report = run(
        place, "batching", "suite.jsonl", "--engine", "small", "--most", "8", "--rounds", "1",
        "--out", "batches",
    )  # fmt: skip
    assert [point["concurrency"] for point in report["points"]] == [1, 2, 4, 8]
    assert report["knee"] in {1, 2, 4, 8}
    assert (place / "batches" / "batching.png").stat().st_size > 10_000


def test_what_cannot_be_measured_is_refused_in_one_line(place: Path) -> None:
    for arguments, message in (
        (["quality", "none.jsonl"], "cannot be read"),
        (["quality", "suite.jsonl", "--engine", "x=large,max_num_sequences=3"], "max_num_seqs"),
        (["quality", "suite.jsonl", "--reference", "none"], "none of the engines"),
        (["gates", "suite.jsonl"], "no report"),
        (["speculation", "suite.jsonl", "--no-ngram"], "no variant"),
    ):
        process = started(place, *arguments)
        _, complained = process.communicate(timeout=BOUND_S)
        assert process.returncode == 65, complained
        assert message in complained
