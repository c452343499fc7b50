"""Code that a model wrote runs in a real process, and can do little there."""

import os
import sys
from pathlib import Path

import pytest

from penstock_workers.evals import sandbox
from penstock_workers.evals.sandbox import run_tests
from tests.rig import eventually

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own walls")
ADD = "def add(a, b):\n    return a + b\n"


def test_right_code_passes_its_tests():
    assert run_tests(ADD, "assert add(1, 2) == 3").passed


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def add(a, b):\n    return a - b", "AssertionError"),
        ("def add(a, b:", "SyntaxError"),
        ("import sys; sys.exit(0)", "ended before its tests"),
        ("print('passed'); import os; os._exit(0)", "ended before its tests"),
        ("def add(a, b):\n    return a + b\nx = [0] * 10**9", "MemoryError"),
        ("import penstock_shared", "ModuleNotFoundError"),
        ("import os\nos.kill(os.getpid(), 9) or os.abort()", "signal"),
    ],
)
def test_wrong_code_fails_and_says_why(code, why):
    ran = run_tests(code, "assert add(1, 2) == 3")
    assert not ran.passed
    assert why in ran.why


def test_code_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(sandbox, "DEADLINE_S", 0.5)
    ran = run_tests("import time\ntime.sleep(100)", "")
    assert ran == (False, "not done after 0 s")


@linux
def test_code_writes_only_in_its_own_folder(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("mine")
    tmp_path.chmod(0o777)
    kept.chmod(0o666)
    assert "PermissionError" in run_tests(f"open({str(kept)!r}, 'w')", "").why
    assert "PermissionError" in run_tests(f"import os; os.remove({str(kept)!r})", "").why
    assert run_tests("open('a', 'w').write('x')", "assert open('a').read() == 'x'").passed
    assert kept.read_text() == "mine"


@linux
def test_code_reaches_no_network():
    code = "import socket\nsocket.create_connection(('127.0.0.1', 9), 1)"
    assert "unreachable" in run_tests(code, "").why


@linux
def test_code_leaves_no_process_behind(monkeypatch):
    monkeypatch.setattr(sandbox, "DEADLINE_S", 1.0)
    name = f"left-{os.getpid()}"
    code = (
        "import ctypes, os, time\n"
        f"os.fork() or (os.setsid(), ctypes.CDLL(None).prctl(15, b'{name}'), time.sleep(100))\n"
        "time.sleep(100)"
    )
    assert not run_tests(code, "").passed
    eventually(lambda: not runs(name))


def runs(name):
    def comm(path):
        try:
            return path.read_text().strip()
        except OSError:
            return ""  # it ended while we looked

    return any(comm(path) == name for path in Path("/proc").glob("[0-9]*/comm"))
