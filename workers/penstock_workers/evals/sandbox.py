"""Runs the code that a model wrote, with its tests, where it can do little harm.

A process of its own without environment: limits on processor time, memory and files, no network, no
writing but in its own folder, killed with all that it started at the deadline (see confined.py).
That stops mistakes and clumsy mischief; it is no wall against an attacker who knows the kernel.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from penstock_workers.evals import confined

DEADLINE_S: Final = 10.0
_SCRIPT: Final = Path(confined.__file__)
_WORDS: Final = 300


class Ran(NamedTuple):
    """Whether the tests passed, and if not, the last line of what went wrong."""

    passed: bool
    why: str


def run_tests(code: str, tests: str) -> Ran:
    """Run ``code``, then ``tests``, in a fresh interpreter that has the standard library only."""
    # The mark says that the tests were reached and passed: code may well exit by itself with 0.
    mark = secrets.token_hex(16)
    task = json.dumps({"code": code, "tests": tests, "mark": mark})
    with tempfile.TemporaryDirectory(prefix="penstock-sandbox-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SCRIPT.read_text("utf-8")],
            cwd=folder,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            said, complained = process.communicate(task, timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            return Ran(passed=False, why=f"not done after {DEADLINE_S:.0f} s")
        finally:
            _end(process)
    if process.returncode == 0 and said.splitlines()[-1:] == [mark]:
        return Ran(passed=True, why="")
    return Ran(passed=False, why=_last_words(process.returncode, complained))


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):  # it ended, and left nothing behind
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _last_words(status: int, complained: str) -> str:
    if status < 0:
        return f"killed by signal {-status}: processor time or memory ran out"
    words = complained.strip().splitlines()
    return words[-1][:_WORDS] if words else "it ended before its tests"
