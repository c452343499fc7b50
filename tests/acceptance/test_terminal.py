"""The demo as somebody types it: make in a terminal, and Ctrl-C."""

import os
import pty
import select
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_ctrl_c_in_a_terminal_ends_make_demo_with_status_0(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.environ["TMPDIR"] = str(tmp_path)
        os.execvp("make", ["make", "-o", ".venv/.installed", "demo"])
    printed = read_until(terminal, b"loading the engines", 120)
    os.write(terminal, b"\x03")
    printed += read_until(terminal, None, 120)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, printed.decode(errors="replace")
    assert list(tmp_path.glob("penstock-demo-*")) == []


def read_until(terminal: int, words: bytes | None, timeout_s: float) -> bytes:
    """What the terminal shows until these words come, or until it closes."""
    shown, end = b"", time.monotonic() + timeout_s
    while words is None or words not in shown:
        left = end - time.monotonic()
        assert left > 0, shown.decode(errors="replace")
        if select.select([terminal], [], [], left)[0]:
            try:
                some = os.read(terminal, 4096)
            except OSError:
                some = b""
            if not some:
                return shown
            shown += some
    return shown
