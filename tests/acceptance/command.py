"""Runs the commands as a person does: as processes, on a home of their own."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from celery import Celery
from kombu import pools

BIN: Final = Path(sys.executable).parent
START_S: Final = 400.0
STOP_S: Final = 90.0


class Home:
    """A home, and the commands on it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self._environment = {**os.environ, "PENSTOCK_HOME": str(folder), **variables}
        self._environment.pop("PENSTOCK_CONFIG", None)

    def run(self, *arguments: str, command: str = "penstock") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [str(BIN / command), *arguments],
            env=self._environment,
            cwd=self.folder.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STOP_S + START_S,
            check=False,
        )

    def json(self, *arguments: str, command: str = "penstock") -> dict[str, Any]:
        """The last line of a command that prints JSON."""
        done = self.run(*arguments, "--json", command=command)
        assert done.stdout.strip(), done.stderr
        facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return facts

    def submit(self, text: str, *options: str, wait: int = 200) -> dict[str, Any]:
        """Submit and wait for the answer."""
        return self.json("submit", text, "--wait", str(wait), *options)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command that goes on; its output goes to a file in the home's folder."""
        log = self.folder.parent / f"{self.folder.name}.out"
        with log.open("a") as output:
            return subprocess.Popen(
                [str(BIN / "penstock"), *arguments],
                env={**self._environment, "COLUMNS": "200"},
                cwd=self.folder.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    @property
    def output(self) -> str:
        """What started commands have printed."""
        log = self.folder.parent / f"{self.folder.name}.out"
        return log.read_text() if log.exists() else ""

    @property
    def stack(self) -> dict[str, Any]:
        """The addresses that the stack wrote down."""
        facts: dict[str, Any] = json.loads((self.folder / "stack.json").read_text())
        return facts

    @contextmanager
    def up(self, *tiers: str) -> Iterator["subprocess.Popen[str]"]:
        """A running stack with these tiers."""
        options = [word for tier in tiers for word in ("--tier", tier)]
        process = self.start("up", *options)
        try:
            wait_until(
                lambda: "Ctrl-C stops everything" in self.output or process.poll() is not None,
                START_S,
            )
            assert process.poll() is None, self.output
            yield process
        finally:
            stop(process)


@contextmanager
def foreign_app(url: str) -> Iterator[Celery]:
    """A Celery app that knows nothing of Penstock but the broker's address."""
    app = Celery("foreign", broker=url, backend=url, set_as_current=False)
    try:
        yield app
    finally:
        app.backend.result_consumer.stop()
        app.backend.client.connection_pool.disconnect()
        pools.reset()  # kombu keeps its connections for the whole process
        app.close()


@contextmanager
def no_leftovers() -> Iterator[None]:
    """What Celery leaves to the garbage collector goes at the end, and at no moment before."""
    gc.disable()
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        gc.enable()


def stop(process: "subprocess.Popen[str]") -> int:
    """End a command as Ctrl-C does; returns its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def wait_until(condition: Callable[[], object], timeout_s: float) -> None:
    """Wait for a condition; fails when it does not come."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "what the test waits for does not happen"
        time.sleep(0.1)


def processes_of(home: Path) -> list[psutil.Process]:
    """Processes that name this home in their command line or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.environ().get("PENSTOCK_HOME", "")]
            has_ended = process.status() == psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        is_other = process.pid != os.getpid() and not has_ended
        if is_other and any(str(home) in word for word in words):
            found.append(process)
    return found


def all_end(home: Path) -> None:
    """Wait until no process knows this home; the last ones may be on their way out."""
    wait_until(lambda: processes_of(home) == [], STOP_S)
