"""A home has one holder at a time, and keeps its secrets to its owner."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock_shared.errors import HomeInUse, SettingsError
from penstock_shared.settings_source import STACK_FILE, connection_of_home
from penstock_shared.stack.home import hold, password_of, write_connection
from tests.rig import BOUND_S

_HOLD = """
import sys, time
from pathlib import Path
from penstock_shared.stack.home import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def another_holder(home: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the home until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(home)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=BOUND_S)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_home_that_another_process_holds_is_refused_and_the_holder_named(tmp_path: Path) -> None:
    with (
        another_holder(tmp_path) as process,
        pytest.raises(HomeInUse, match=f"process {process.pid}.*--home"),
        hold(tmp_path),
    ):
        pytest.fail("two hold it")


def test_a_holder_that_is_killed_lets_go(tmp_path: Path) -> None:
    with another_holder(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(BOUND_S)
        with hold(tmp_path):
            assert (tmp_path / "up.lock").read_text() == str(os.getpid())


def test_a_home_can_be_held_again_after_it_was_let_go_even_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(tmp_path):
        raise ZeroDivisionError
    with hold(tmp_path):
        pass


def test_two_homes_can_be_held_at_once(tmp_path: Path) -> None:
    with hold(tmp_path / "a"), hold(tmp_path / "b"):
        pass


def test_a_new_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    with hold(home):
        assert mode(home) == 0o700
        assert mode(home / "up.lock") == 0o600


def test_a_home_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be used"), hold(tmp_path / "file" / "home"):
        pytest.fail("it is held")


def test_a_password_is_made_once_and_stays(tmp_path: Path) -> None:
    first = password_of(tmp_path, "redis")
    assert len(first) >= 32
    assert password_of(tmp_path, "flower") != first
    assert password_of(tmp_path, "redis") == first


def test_two_homes_have_different_passwords(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("a", "b")]
    for home in homes:
        home.mkdir()
    assert len({password_of(home, "redis") for home in homes}) == 2


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_secrets_and_addresses_are_for_the_owner_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        password_of(tmp_path, "redis")
        password_of(tmp_path, "flower")
        write_connection(tmp_path, {"broker_url": "redis://:secret@127.0.0.1:1/0"})
        write_connection(tmp_path, {"broker_url": "redis://:secret@127.0.0.1:2/0"})
    finally:
        os.umask(before)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == sorted([STACK_FILE, "secrets.json"])
    assert {mode(path) for path in tmp_path.iterdir()} == {0o600}


def test_what_the_stack_writes_down_is_found_by_other_commands(tmp_path: Path) -> None:
    written = {"broker_url": "redis://:secret@127.0.0.1:1/0", "ledger_url": "sqlite:///x.db"}
    write_connection(tmp_path, {**written, "flower_url": "http://127.0.0.1:2", "pid": os.getpid()})
    assert connection_of_home(tmp_path) == written
