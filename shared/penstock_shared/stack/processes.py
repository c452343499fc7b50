"""Child processes that end when we end, whatever ends us."""

import ctypes
import pwd
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

_PR_SET_PDEATHSIG: Final = 1
_PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST_PORT: Final = 10_000
_PORT_TRIES: Final = 100
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """One process of the stack, its output in a log file.

    ``end_signal`` is how it is asked to end, by us and by our death. Where an account is given,
    the process belongs to it; only root can do that.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        end_signal: signal.Signals = signal.SIGTERM,
        account: pwd.struct_passwd | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment)
        self._end_signal = end_signal
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None
        self._was_asked = False

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self.is_running else None

    @property
    def is_running(self) -> bool:
        """True between start and end."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process. It is told to end when we die; call from the main thread."""
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.log.open("ab") as output:
            self._process = self._spawn(output)
        self._was_asked = False

    def stop(self, grace_s: float) -> None:
        """Ask the process to end, if nobody has; after ``grace_s`` seconds, SIGKILL."""
        if self._process is None:
            return
        if not self._was_asked:  # asked twice, a worker would hurry
            self.terminate()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> None:
        """Ask the process to end, without waiting."""
        if self.is_running and self._process is not None:
            self._was_asked = True
            self._process.send_signal(self._end_signal)

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of the log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-lines:])

    def _spawn(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone; we stop the children in order
            preexec_fn=partial(end_with_parent, self._end_signal),  # noqa: PLW1509 - no threads yet
            **belonging_to(self._account),
        )


def belonging_to(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Arguments of ``subprocess`` for a process of this account; None: ours."""
    if account is None:
        return {}
    who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return {**who, "cwd": "/"}  # it may not be allowed where we are


def end_with_parent(number: signal.Signals) -> None:
    """Let this process get a signal when the thread that started it ends (on Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)


def children_of(pid: int) -> list[int]:
    """Ids of the processes that this one started and that have not ended; empty without /proc."""
    return [int(place.name) for place in Path("/proc").glob("[0-9]*") if _parent_of(place) == pid]


def words_of(pid: int, name: str) -> list[str]:
    """What /proc says of a process under ``cmdline`` or ``environ``; empty when it has ended."""
    try:
        text = Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.split("\0")


def free_port() -> int:
    """A TCP port on loopback that nobody uses now.

    It is none of those from which the kernel takes ports for outgoing connections: a server that
    is started again has to find its port free.
    """
    with suppress(OSError, ValueError, IndexError):
        first = int(_PORT_RANGE.read_text(encoding="ascii").split()[0])
        for port in random.sample(range(_LOWEST_PORT, first), _PORT_TRIES):
            if _is_free(port):
                return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _parent_of(place: Path) -> int | None:
    """The parent of a process; None when it has ended, even if nobody has looked at it yet."""
    try:
        state, parent = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(parent)
