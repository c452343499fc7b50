"""A command's folder goes with it, also when it was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from penstock_producer.batch.own_folder import own_folder

_HOLDS = """
import pathlib, sys
from penstock_producer.batch.own_folder import own_folder
with own_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "large").write_text("much")
    print(folder, flush=True)
    sys.stdin.read()
"""


def _age(folder: Path) -> None:
    os.utime(folder, (1, 1))


def _folders(home: Path) -> list[Path]:
    return list(home.glob("batch-*"))


def test_a_folder_goes_with_its_command(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with own_folder(home) as folder:
        (folder / "large").write_text("much")
        assert _folders(home) == [folder]
    assert _folders(home) == []


def test_what_a_killed_command_left_goes_with_the_next_and_what_works_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDS, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        _age(left)
        with own_folder(tmp_path) as mine:
            assert set(_folders(tmp_path)) == {left, mine}
        holder.send_signal(signal.SIGKILL)
    with own_folder(tmp_path) as mine:
        assert _folders(tmp_path) == [mine]
