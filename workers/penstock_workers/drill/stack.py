"""The stack of the drill: its own Redis, its own ledger, and many workers of one tier.

Everything in it may be killed: what ended unasked is started again, unless it is held down.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Self

from penstock_shared.errors import EngineError, SettingsError
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.settings import TOML_NAME, Settings, load_settings
from penstock_shared.stack.home import password_of, write_connection
from penstock_shared.stack.postgres_server import PostgresServer, can_live_in
from penstock_shared.stack.processes import Child, children_of, words_of
from penstock_shared.stack.redis_server import RedisServer
from penstock_shared.stack.stack import Supervised
from penstock_workers.drill.engine import ENGINE, RUNS_VARIABLE
from penstock_workers.drill.script import TIER
from penstock_workers.health import health_file

LedgerKind = Literal["sqlite", "postgresql"]
QUICK: Final = MappingProxyType[str, object](
    {"lease_s": 4, "heartbeat_s": 0.5, "sweep_s": 1, "drain_s": 3, "max_attempts": 3}
)
WORKER: Final = "penstock_workers.drill.worker"
_VARIABLES: Final = "PENSTOCK_"
_STOP_S: Final = 10.0
_RESTART_PAUSE_S: Final = 1.0
_TICK_S: Final = 0.05


class DrillStack:
    """Real parts in a home of their own, which the caller holds.

    From here on this process, and what it starts, knows no other stack: variables that name one
    are forgotten, because a drill empties brokers. Only the main thread may start and tend.
    ``worker_module`` is what a worker runs.
    """

    def __init__(
        self,
        home: Path,
        *,
        workers: int,
        ledger: LedgerKind,
        without: Sequence[str] = (),
        worker_settings: Mapping[str, object] | None = None,
        max_num_seqs: int = 32,
        worker_module: str = WORKER,
    ) -> None:
        self.home = home.absolute()
        self.runs = self.home / "runs.jsonl"
        self._logs = self.home / "logs"
        self._run_folder = self.home / "run"
        self._without = tuple(without)
        self._worker_module = worker_module
        self._write_settings({**QUICK, **(worker_settings or {})}, max_num_seqs)
        self.redis = RedisServer(
            self.home / "redis", password_of(self.home, "redis"), self._logs / "redis.log"
        )
        self.postgres = self._postgres() if ledger == "postgresql" else None
        url = self.postgres.url(TIER) if self.postgres else f"sqlite:///{self.home / 'ledger.db'}"
        write_connection(
            self.home, {"broker_url": self.redis.url, "ledger_url": url, "pid": os.getpid()}
        )
        self.settings: Settings = load_settings(self.home)
        self.workers = [self._worker(number) for number in range(workers)]
        services = [self.redis.child, *([self.postgres.child] if self.postgres else [])]
        self._watched = [*map(Supervised, services), *self.workers]
        self._held: set[str] = set()
        self._started_at: dict[str, float] = {}

    def start(self) -> Self:
        """Start everything and return at once; ``wait_ready`` waits for the workers."""
        with ExitStack() as undo:
            undo.callback(self.stop)
            if self.postgres is not None:
                self.postgres.start()
                self.postgres.create(TIER)
            self._migrate()
            self.redis.start()
            for worker in self.workers:
                self._start(worker)
            undo.pop_all()
        return self

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait for every worker. Raises EngineError when one ends or takes too long."""
        end = time.monotonic() + timeout_s
        while waiting := [worker.child for worker in self.workers if not worker.is_ready]:
            ended = next((child for child in waiting if not child.is_running), None)
            if ended is not None or time.monotonic() > end:
                child = ended or waiting[0]
                raise EngineError(f"{child.name} did not start; see {child.log}\n"
                                  f"{child.last_words()}")  # fmt: skip
            time.sleep(_TICK_S)

    def tend(self) -> list[str]:
        """Start again what ended unasked; returns the names of what was started."""
        now = time.monotonic()
        return [
            self._restart(supervised)
            for supervised in self._watched
            if not supervised.child.is_running
            and supervised.child.name not in self._held
            and now > self._started_at.get(supervised.child.name, 0.0) + _RESTART_PAUSE_S
        ]

    def hold_down(self, name: str) -> None:
        """Leave this part down when it ends, until ``let_up``."""
        if name not in {supervised.child.name for supervised in self._watched}:
            raise SettingsError(f"the stack of the drill has no part {name!r}")
        self._held.add(name)

    def let_up(self, name: str) -> None:
        """The next ``tend`` starts this part again, if it is down."""
        self._held.discard(name)

    def worker_pid(self, index: int) -> int | None:
        """Process id of a worker while it runs."""
        return self.workers[index].child.pid

    def engine_pid(self, index: int) -> int | None:
        """Process id of a worker's engine while both run."""
        pid = self.worker_pid(index)
        children = children_of(pid) if pid is not None else []
        return next((child for child in children if ENGINE in words_of(child, "cmdline")), None)

    def worker_id(self, index: int) -> str | None:
        """Under which name the running worker claims; None before its first sign of life."""
        pid = self.worker_pid(index)
        if pid is None:
            return None
        try:
            sign = json.loads(health_file(self.home, TIER, pid).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return str(sign["worker_id"])

    def stop_workers(self) -> None:
        """Stop the workers and leave ledger and broker up, to be read."""
        end = time.monotonic() + self.settings.worker.drain_s + _STOP_S
        children = [worker.child for worker in self.workers]
        self._held.update(child.name for child in children)
        for child in children:
            if child.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGCONT)  # a frozen one would not hear us
            child.terminate()
        for child in children:
            child.stop(max(0.0, end - time.monotonic()))

    def stop(self) -> None:
        """Stop everything: workers first, services last, each of them whatever fails before."""
        self._held.update(supervised.child.name for supervised in self._watched)
        with ExitStack() as last:
            if self.postgres is not None:
                last.callback(self.postgres.remove)
                last.callback(self.postgres.stop)
            last.callback(self.redis.child.stop, _STOP_S)
            for worker in self.workers:
                last.callback(worker.child.stop, 0.0)
            self.stop_workers()

    def left_behind(self) -> list[int]:
        """Processes of this home that are not we; after ``stop`` there should be none."""
        services = [s.child.pid for s in self._watched if s.child.pid is not None]
        places = [int(place.name) for place in Path("/proc").glob("[0-9]*")]
        others = {pid for pid in places if pid != os.getpid() and self._is_ours(pid)}
        return sorted({*services, *others})

    def _is_ours(self, pid: int) -> bool:
        # Celery gives its process a title, in the place where its variables were.
        if f"{_VARIABLES}HOME={self.home}" in words_of(pid, "environ"):
            return True
        return any(f"{self._run_folder}/" in word for word in words_of(pid, "cmdline"))

    def _start(self, supervised: Supervised) -> None:
        self._started_at[supervised.child.name] = time.monotonic()
        supervised.start()

    def _restart(self, supervised: Supervised) -> str:
        self._start(supervised)
        supervised.restarts += 1
        return supervised.child.name

    def _migrate(self) -> None:
        database = Database(self.settings.ledger)
        try:
            migrate(database)
        finally:
            database.close()

    def _postgres(self) -> PostgresServer:
        folder = self.home / "postgres" if can_live_in(self.home) else None
        return PostgresServer(folder, log=self._logs / "postgres.log")

    def _worker(self, number: int) -> Supervised:
        name = f"worker-{number}"
        self._run_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        ready_file = self._run_folder / f"{name}.ready"
        command = [sys.executable, "-m", self._worker_module]
        command += [f"--ready-file={ready_file}", *(f"--without={name}" for name in self._without)]
        environment = {**os.environ, RUNS_VARIABLE: str(self.runs)}
        child = Child(name, command, log=self._logs / f"{name}.log", environment=environment)
        return Supervised(child, ready_file)

    def _write_settings(self, worker: Mapping[str, object], max_num_seqs: int) -> None:
        """Write penstock.toml, and let nothing else hold for this process and its children."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        toml = self.home / TOML_NAME
        toml.touch(mode=0o600)
        lines = [
            f"[tiers.{TIER}]",
            'model = "penstock-drill"',
            'price_per_hour = "3.60"',
            "max_model_len = 4096",
            f"max_num_seqs = {max_num_seqs}",
            "[routing]",
            "rules = []",
            "[cache]",
            "semantic = false",
            "[worker]",
            *(f"{key} = {json.dumps(value)}" for key, value in worker.items()),
        ]
        toml.write_text("\n".join([*lines, ""]), encoding="utf-8")
        for variable in [name for name in os.environ if name.startswith(_VARIABLES)]:
            del os.environ[variable]
        os.environ[f"{_VARIABLES}HOME"] = str(self.home)
        os.environ[f"{_VARIABLES}CONFIG"] = str(toml)
