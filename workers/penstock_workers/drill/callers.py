"""The callers of the drill: processes that submit plans and write a history, ended when we end."""

import json
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from penstock_shared.errors import PenstockError
from penstock_workers.drill.plan import Line

_READY_S: Final = 60.0
_MODULE: Final = "penstock_producer.drill_client"  # started by name: this side never imports it


class Callers:
    """One process for each plan. The end of its standard input is the end of each of them."""

    def __init__(self, home: Path, plans: Sequence[Sequence[Line]]) -> None:
        self._home = home
        self._folder = home / "history"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}
        self.histories = [self._folder / f"caller-{number}.jsonl" for number in range(len(plans))]
        for history, plan in zip(self.histories, plans, strict=True):
            lines = (json.dumps(line._asdict()) + "\n" for line in plan)
            _plan_of(history).write_text("".join(lines), encoding="utf-8")

    @property
    def are_running(self) -> bool:
        """True until all of them have ended."""
        return any(process.poll() is None for process in self._processes.values())

    @property
    def failed(self) -> list[str]:
        """Those that ended with an error, and its last line."""
        ended = {path: process.poll() for path, process in self._processes.items()}
        return [
            f"{path.stem} ended with status {status}: {_last_line(_log_of(path))}"
            for path, status in ended.items()
            if status
        ]

    def start(self) -> None:
        """Start them and wait until each is ready. Raises PenstockError."""
        for history in self.histories:
            history.touch(mode=0o600)
            with _log_of(history).open("ab") as log:
                self._processes[history] = self._spawn(history, log)
        end = time.monotonic() + _READY_S
        for history, process in self._processes.items():
            if not _says_ready(process, end):
                raise PenstockError(f"a caller did not start; see {_log_of(history)}")

    def say(self, word: str) -> None:
        """Tell all of them: "go", "finish" or "give up"."""
        for process in self._processes.values():
            with suppress(OSError, ValueError):  # it has ended
                _pipe(process.stdin).write(f"{word}\n".encode())
                _pipe(process.stdin).flush()

    def stop(self) -> None:
        """End them now, whatever they do."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    _pipe(pipe).close()

    def _spawn(self, history: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
        plan = _plan_of(history)
        command = [sys.executable, "-m", _MODULE]
        command += ["--home", str(self._home), "--plan", str(plan), "--history", str(history)]
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us alone
        )


def _says_ready(process: subprocess.Popen[bytes], end: float) -> bool:
    output = _pipe(process.stdout)
    readable, _, _ = select.select([output], [], [], max(0.0, end - time.monotonic()))
    return bool(readable) and output.readline().strip() == b"ready"


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("a caller without a pipe")
    return pipe


def _plan_of(history: Path) -> Path:
    return history.with_suffix(".plan")


def _log_of(history: Path) -> Path:
    return history.with_suffix(".log")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it left no words"
