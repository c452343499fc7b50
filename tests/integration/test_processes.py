"""Children end when we end, know whether they run, and get ports that are free."""

import os
import pwd
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock_shared.stack.processes import Child, children_of, free_port, words_of
from tests.rig import BOUND_S, eventually

_DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
_POLITE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"bye\\n"), sys.exit(0)))
print("ready", flush=True)
time.sleep(600)
"""
_COUNTING = """
import os, signal, time
asked = 0
def count(*_):
    global asked
    asked += 1
    os.write(1, f"asked {asked}\\n".encode())  # a print may be interrupted by this one
signal.signal(signal.SIGINT, count)
print("ready", flush=True)
while not asked:
    time.sleep(0.01)
time.sleep(0.2)
"""
_PARENT = """
import sys, time
from pathlib import Path
from penstock_shared.stack.processes import Child
child = Child("child", ["sleep", "600"], log=Path(sys.argv[1]), environment={"PATH": sys.argv[2]})
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""


class Children:
    """Makes children, and ends what a test leaves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Child] = []

    def __call__(
        self, *command: str, end_signal: signal.Signals = signal.SIGTERM, **environment: str
    ) -> Child:
        log = self._folder / "logs" / f"{len(self._made)}.log"
        child = Child("a-child", command, log=log, environment=environment, end_signal=end_signal)
        self._made.append(child)
        return child

    def python(self, code: str, end_signal: signal.Signals = signal.SIGTERM) -> Child:
        """A child that has said that it is ready."""
        child = self(sys.executable, "-c", code, end_signal=end_signal)
        child.start()
        eventually(lambda: "ready" in child.last_words())
        return child

    def end(self) -> None:
        """Kill them all."""
        for child in self._made:
            child.stop(0)


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    made = Children(tmp_path)
    yield made
    made.end()


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # dead; whoever inherited it has not looked yet


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path / "log"), os.environ["PATH"]],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not is_gone(child)
        os.kill(parent.pid, signal.SIGKILL)
        eventually(lambda: is_gone(child))
    finally:
        parent.kill()
        parent.communicate(timeout=BOUND_S)


def test_a_child_is_asked_to_end_and_may_say_goodbye(children: Children) -> None:
    child = children.python(_POLITE)
    child.stop(BOUND_S)
    assert not child.is_running
    assert child.last_words(1) == "bye"


def test_a_child_that_does_not_listen_is_killed_when_its_grace_is_over(children: Children) -> None:
    child = children.python(_DEAF)
    child.terminate()
    assert child.is_running
    child.stop(0.05)
    assert not child.is_running
    assert child._process is not None
    assert child._process.returncode == -signal.SIGKILL


def test_a_child_is_asked_once_and_with_its_own_signal(children: Children) -> None:
    child = children.python(_COUNTING, end_signal=signal.SIGINT)
    child.terminate()
    child.stop(BOUND_S)
    assert child.last_words() == "ready\nasked 1"
    child.start()
    eventually(lambda: child.last_words().endswith("ready"))
    child.stop(BOUND_S)
    assert child.last_words(1) == "asked 1"


def test_a_child_can_be_killed_and_started_again(children: Children) -> None:
    child = children.python(_DEAF)
    child.kill()
    assert not child.is_running
    child.kill()
    child.start()
    assert child.is_running


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process to another account")
def test_a_child_can_belong_to_another_account(tmp_path: Path) -> None:
    account = pwd.getpwnam("nobody")
    log = tmp_path / "log"
    child = Child("a-child", ["/usr/bin/id", "-un"], log=log, environment={}, account=account)
    child.start()
    eventually(lambda: not child.is_running)
    assert child.last_words() == "nobody"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_what_a_process_started_can_be_found(children: Children) -> None:
    before = children_of(os.getpid())
    child = children("sleep", "600", PATH=os.environ["PATH"])
    child.start()
    assert child.pid is not None
    assert set(children_of(os.getpid())) - set(before) == {child.pid}
    eventually(lambda: words_of(child.pid or 0, "cmdline")[:2] == ["sleep", "600"])
    assert f"PATH={os.environ['PATH']}" in words_of(child.pid, "environ")
    pid = child.pid
    child.kill()
    assert pid not in children_of(os.getpid())
    assert words_of(pid, "cmdline") == []


def test_a_child_runs_with_the_environment_that_it_was_given_and_no_other(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "secret")
    child = children("/usr/bin/env", THEIRS="known")
    child.start()
    eventually(lambda: not child.is_running)
    assert child.last_words() == "THEIRS=known"


def test_a_child_is_in_a_session_of_its_own_so_that_ctrl_c_reaches_us_alone(
    children: Children,
) -> None:
    child = children.python(_POLITE)
    assert child.pid is not None
    assert os.getsid(child.pid) == child.pid != os.getsid(0)


def test_a_child_knows_whether_it_runs(children: Children) -> None:
    child = children(sys.executable, "-c", "")
    assert (child.is_running, child.pid, child.last_words()) == (False, None, "")
    child.stop(0)
    child.terminate()
    child.start()
    eventually(lambda: not child.is_running)
    assert child.pid is None
    child.stop(0)


def test_the_logs_of_all_runs_are_kept_and_its_end_can_be_read(children: Children) -> None:
    child = children(sys.executable, "-c", r"import sys; sys.stderr.write('a\nb\nc\n')")
    for _ in range(2):
        child.start()
        eventually(lambda: not child.is_running)
    assert child.last_words(2) == "b\nc"
    assert child.last_words(99) == "a\nb\nc\na\nb\nc"


def test_free_ports_are_free(tmp_path: Path) -> None:
    assert len({free_port() for _ in range(5)}) > 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_free_port_is_not_one_that_an_outgoing_connection_could_get() -> None:
    first = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0]
    assert all(1024 < free_port() < int(first) for _ in range(50))


def test_a_port_in_use_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(random, "sample", lambda _range, count: [port] * count)
        assert free_port() != port
