"""Health is progress, read from the sign of life that each worker writes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock_shared import clock
from penstock_workers.health import Health, check, health_file

PID = os.getpid()


def write(home: Path, *, tier: str = "small", **changes: Any) -> None:
    sign = {
        "worker_id": f"{tier}-0123456789ab",
        "tier": tier,
        "pid": PID,
        "at_ms": clock.now_ms(),
        "held": 3,
        "in_flight": 3,
        "steps": 100,
        "no_progress_s": 0.5,
        "broker_silent_s": 0.5,
    }
    health_file(home, tier, PID).write_text(json.dumps({**sign, **changes}))


def judge(home: Path) -> Health:
    [verdict] = check(home, None)
    return verdict


def test_a_worker_that_steps_is_healthy(tmp_path: Path) -> None:
    write(tmp_path)
    verdict = judge(tmp_path)
    assert (verdict.healthy, verdict.reason) == (True, "3 jobs in hand")


def test_a_worker_that_fell_silent_is_not(tmp_path: Path) -> None:
    write(tmp_path, at_ms=clock.now_ms() - 25_000)
    verdict = judge(tmp_path)
    assert not verdict.healthy
    assert verdict.reason.startswith("silent for 2")


def test_a_worker_with_jobs_and_no_steps_is_not(tmp_path: Path) -> None:
    write(tmp_path, no_progress_s=61.0)
    verdict = judge(tmp_path)
    assert (verdict.healthy, verdict.reason) == (False, "3 jobs and no progress for 61 s")


def test_a_worker_that_hears_nothing_from_the_broker_is_not(tmp_path: Path) -> None:
    write(tmp_path, held=0, broker_silent_s=61.0)
    verdict = judge(tmp_path)
    assert not verdict.healthy
    assert "no word from the broker for 61 s" in verdict.reason


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null"])
def test_a_sign_that_cannot_be_read_is_unhealthy_and_no_crash(tmp_path: Path, text: str) -> None:
    health_file(tmp_path, "small", PID).write_text(text)
    assert not judge(tmp_path).healthy


def test_a_tier_is_not_mistaken_for_one_whose_name_it_begins(tmp_path: Path) -> None:
    write(tmp_path, tier="small")
    write(tmp_path, tier="small-fast")
    assert [h.sign["tier"] for h in check(tmp_path, "small")] == ["small"]
    assert len(check(tmp_path, None)) == 2


def test_the_sign_of_a_process_that_is_gone_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write(tmp_path, pid=gone.pid)
    assert check(tmp_path, None) == []
    assert list((tmp_path / "health").iterdir()) == []


def test_a_home_without_workers_has_no_verdicts(tmp_path: Path) -> None:
    assert check(tmp_path, None) == []
