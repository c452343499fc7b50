"""A small stage for faults, and what a test looks at on it."""

import sys
from pathlib import Path

import psutil

from penstock_shared.settings import Settings
from penstock_shared.stack.processes import Child
from penstock_shared.stack.redis_server import RedisServer
from penstock_workers.drill.faults import fault_of
from penstock_workers.drill.schedule import FaultKind, PlannedFault
from penstock_workers.drill.stage import Fault
from tests.acceptance.command import wait_until
from tests.rig import eventually
from tests.services import PostgresServer

WORKER = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""
SOON_S = 60.0


class SmallStage:
    """Workers that only sleep and do not listen to SIGTERM, beside a real Redis and ledger."""

    def __init__(self, folder: Path, settings: Settings, redis: RedisServer) -> None:
        self.settings = settings
        self.redis = redis
        self.postgres: PostgresServer | None = None
        self.silent: set[int] = set()
        self.held_down: list[str] = []
        self.workers = [self._process(f"worker-{n}", folder, WORKER) for n in range(2)]
        self.engines = [self._process(f"engine-{n}", folder, WORKER) for n in range(2)]
        started = [*self.workers, *self.engines]
        eventually(lambda: all("deaf" in child.last_words() for child in started))

    def worker_pid(self, index: int) -> int | None:
        return self.workers[index].pid

    def worker_id(self, index: int) -> str | None:
        return f"drill-{index}" if self.worker_pid(index) and index not in self.silent else None

    def engine_pid(self, index: int) -> int | None:
        return self.engines[index].pid

    def hold_down(self, name: str) -> None:
        self.held_down.append(name)

    def let_up(self, name: str) -> None:
        self.held_down.remove(name)

    def stop(self) -> None:
        for child in [*self.workers, *self.engines]:
            child.kill()

    @staticmethod
    def _process(name: str, folder: Path, code: str) -> Child:
        child = Child(name, [sys.executable, "-S", "-c", code], log=folder / name, environment={})
        child.start()
        return child


def make(stage: SmallStage, kind: FaultKind, worker: int = 0) -> Fault:
    return fault_of(PlannedFault(1.0, kind, worker, 2.0), stage)


def is_frozen(child: Child) -> bool:
    return child.pid is not None and psutil.Process(child.pid).status() == psutil.STATUS_STOPPED


def ends(child: Child) -> None:
    wait_until(lambda: not child.is_running, SOON_S)
