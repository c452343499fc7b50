"""The drill itself: it ends well, finds what was sabotaged, and leaves nothing running."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import BIN, all_end, wait_until

ENDS_S = 500.0
EVERY_FAULT = 10
SEEDS = 5

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def start(tmp_path: Path, kept: Path) -> Start:
    """Starts the command; what it says goes into files."""

    def start(*options: str) -> "subprocess.Popen[str]":
        command = [str(BIN / "penstock-worker"), "drill", "--keep", str(kept), *options]
        with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
            return subprocess.Popen(
                command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True
            )

    return start


def said(tmp_path: Path, name: str = "err") -> str:
    return (tmp_path / name).read_text()


def figures(tmp_path: Path) -> dict[str, Any]:
    [line] = said(tmp_path, "out").splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def events(kept: Path) -> set[str]:
    files = (kept / "history").glob("*.jsonl")
    return {json.loads(line)["event"] for file in files for line in file.read_text().splitlines()}


@pytest.mark.parametrize("ledger", ["sqlite", "postgresql"])
def test_all_promises_are_kept_whatever_breaks(
    tmp_path: Path, kept: Path, start: Start, ledger: str
) -> None:
    drill = start(
        *("--jobs", "150", "--seconds", "20", "--workers", "2", "--faults", str(EVERY_FAULT)),
        *("--ledger", ledger, "--json"),
    )
    assert drill.wait(ENDS_S) == 0, said(tmp_path)
    found = figures(tmp_path)
    assert found["ok"]
    assert found["violations"] == []
    assert (found["accepted"], found["lost"], found["duplicate_charges"]) == (150, 0, 0)
    assert (found["changed_results"], found["orphans"]) == (0, 0)
    assert (found["failed"], found["dead"]) == (2, 1)
    assert sum(found["faults"].values()) >= EVERY_FAULT // 3, said(tmp_path)
    assert {"submit", "accepted", "refused", "ended"} <= events(kept)
    all_end(kept)


def test_a_worker_that_settles_what_it_has_lost_is_found_out(
    tmp_path: Path, kept: Path, start: Start
) -> None:
    """Workers come back from a freeze with answers of jobs that others have claimed since.

    A freeze may catch a worker without such a job, or one that keeps SQLite from all others; so
    there are several drills to find it out.
    """
    for seed in range(SEEDS):
        shutil.rmtree(kept, ignore_errors=True)
        drill = start(
            *("--without", "fencing", "--fault", "freeze_worker", "--faults", "3"),
            *("--jobs", "45", "--long-share", "0.6", "--poison-share", "0", "--seconds", "30"),
            *("--seed", str(seed), "--json"),
        )
        if drill.wait(ENDS_S) == 1:
            break
    assert drill.returncode == 1, said(tmp_path)
    found = figures(tmp_path)
    assert not found["ok"]
    assert found["duplicate_charges"] + found["changed_results"] > 0
    assert f"kept in {kept}" in said(tmp_path)
    assert "ended" in events(kept)
    assert (kept / "ledger" / "attempts.jsonl").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_running_and_says_where_the_history_is(
    tmp_path: Path, kept: Path, start: Start, number: signal.Signals
) -> None:
    drill = start("--seconds", "60", "--workers", "2", "--fault", "freeze_worker", "--faults", "6")
    try:
        wait_until(
            lambda: "freeze_worker: worker" in said(tmp_path) or drill.poll() is not None, ENDS_S
        )
        assert drill.poll() is None, said(tmp_path)
        os.kill(drill.pid, number)
        assert drill.wait(ENDS_S) == 130
    finally:
        drill.kill()
        drill.wait()
    assert f"kept in {kept}" in said(tmp_path)
    all_end(kept)
    assert "accepted" in events(kept)


def test_killed_in_the_middle_of_a_freeze_it_leaves_nothing_running(
    tmp_path: Path, kept: Path, start: Start
) -> None:
    drill = start("--seconds", "60", "--workers", "2", "--fault", "freeze_worker", "--faults", "6")
    try:
        wait_until(
            lambda: "freeze_worker: worker" in said(tmp_path) or drill.poll() is not None, ENDS_S
        )
        assert drill.poll() is None, said(tmp_path)
    finally:
        drill.kill()
        drill.wait()
    all_end(kept)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, kept: Path, start: Start) -> None:
    kept.mkdir()
    (kept / "ledger.db").touch()
    assert start().wait(ENDS_S) == 78
    assert "name a new folder" in said(tmp_path)
