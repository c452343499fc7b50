"""The faults of the drill, done to a running stack."""

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, Protocol

from penstock_shared import clock
from penstock_workers.drill.schedule import FaultKind, PlannedFault
from penstock_workers.drill.services import (
    LockedLedger,
    drop_ledger_connections,
    drop_redis_connections,
    empty_redis,
    has_jobs,
    holder_of_sweep,
)
from penstock_workers.drill.stage import Fault, Hurt, Stage


def fault_of(planned: PlannedFault, stage: Stage) -> Fault:
    """The fault that was planned, not yet begun."""
    return _MAKERS[planned.kind](stage, planned.worker)


class _WorkerFault:
    """Its target is one worker that runs and has given a sign of life."""

    def __init__(self, stage: Stage, worker: int) -> None:
        self.hurt: Hurt | None = None
        self.target = f"worker-{worker}"
        self._stage = stage
        self._worker = worker
        self._pid: int | None = None

    def begin(self) -> bool:
        """Hurt it."""
        worker_id, pid = self._stage.worker_id(self._worker), self._victim()
        if worker_id is None or pid is None:
            return False
        self._pid = self._stage.worker_pid(self._worker)
        self.hurt = Hurt(worker_id, clock.now_ms())
        try:
            self._strike(pid)
        except ProcessLookupError:  # it has just ended by itself
            self.hurt = None
        return self.hurt is not None

    def end(self) -> None:
        """Nothing is left to do."""

    def _victim(self) -> int | None:
        return self._stage.worker_pid(self._worker)

    def _strike(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def _signal_again(self, number: signal.Signals) -> None:
        """Send a signal to the worker that was hurt, if it still runs."""
        if self._pid is not None and self._stage.worker_pid(self._worker) == self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)
        self._pid = None


class KillWorker(_WorkerFault):
    """kill -9 for a worker."""


class KillEngine(_WorkerFault):
    """kill -9 for a worker's engine."""

    def _victim(self) -> int | None:
        return self._stage.engine_pid(self._worker)


class KillSweeper(_WorkerFault):
    """kill -9 for the worker that sweeps for all."""

    def begin(self) -> bool:
        """Find out who that is, and kill it."""
        holder = holder_of_sweep(self._stage.settings.ledger)
        found = [n for n in range(len(self._stage.workers)) if self._stage.worker_id(n) == holder]
        if holder is None or not found:
            return False
        self._worker = found[0]
        self.target = f"worker-{self._worker}"
        return super().begin()


class FreezeWorker(_WorkerFault):
    """SIGSTOP for longer than a lease: it comes back and does not know that time has passed."""

    def begin(self) -> bool:
        """Freeze it with jobs in it: without, nothing could come late."""
        worker_id = self._stage.worker_id(self._worker)
        if worker_id is None or not has_jobs(self._stage.settings.ledger, worker_id):
            return False
        return super().begin()

    def end(self) -> None:
        """Let it go on."""
        self._signal_again(signal.SIGCONT)

    def _strike(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)


class TermThenKill(_WorkerFault):
    """SIGTERM, and kill -9 in the middle of the drain."""

    def end(self) -> None:
        """Kill it, unless it has ended by itself."""
        self._signal_again(signal.SIGKILL)

    def _strike(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM)


class LoseMessage(_WorkerFault):
    """SIGSTOP, time for messages to reach nobody, kill -9: then they are in no key of Redis."""

    def end(self) -> None:
        """Kill it."""
        self._signal_again(signal.SIGKILL)

    def _strike(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)


class _ServiceFault:
    """Its target is Redis or the ledger."""

    target = "redis"

    def __init__(self, stage: Stage, _worker: int) -> None:
        self.hurt: Hurt | None = None
        self._stage = stage

    def end(self) -> None:
        """Nothing is left to do."""


class KillRedis(_ServiceFault):
    """kill -9 for Redis, which stays down for a while and comes back with what it had written."""

    def begin(self) -> bool:
        """Kill it."""
        if not self._stage.redis.child.is_running:
            return False
        self._stage.hold_down(self.target)
        self._stage.redis.child.kill()
        return True

    def end(self) -> None:
        """Let it be started again."""
        self._stage.let_up(self.target)


class FlushRedis(_ServiceFault):
    """Redis forgets everything."""

    def begin(self) -> bool:
        """Empty it."""
        return empty_redis(self._stage.redis.url)


class DropConnections(_ServiceFault):
    """Every connection to Redis, and to a ledger that has any, breaks."""

    target = "connections"

    def begin(self) -> bool:
        """Drop them."""
        if not drop_redis_connections(self._stage.redis.url):
            return False
        return self._stage.postgres is None or drop_ledger_connections(self._stage.settings.ledger)


class StopDatabase(_ServiceFault):
    """PostgreSQL is killed and stays down for a while; SQLite's write lock is held by somebody."""

    target = "ledger"

    def __init__(self, stage: Stage, _worker: int) -> None:
        super().__init__(stage, _worker)
        self._lock = LockedLedger(stage.settings.ledger)

    def begin(self) -> bool:
        """Take it away."""
        server = self._stage.postgres
        if server is None:
            return self._lock.take()
        if not server.child.is_running:
            return False
        self._stage.hold_down(server.child.name)
        server.kill()
        return True

    def end(self) -> None:
        """Give it back."""
        if self._stage.postgres is None:
            self._lock.give_back()
        else:
            self._stage.let_up(self._stage.postgres.child.name)


class _Maker(Protocol):
    def __call__(self, stage: Stage, worker: int, /) -> Fault: ...


_MAKERS: Final[Mapping[FaultKind, _Maker]] = MappingProxyType(
    {
        FaultKind.KILL_WORKER: KillWorker,
        FaultKind.KILL_ENGINE: KillEngine,
        FaultKind.KILL_REDIS: KillRedis,
        FaultKind.KILL_SWEEPER: KillSweeper,
        FaultKind.FREEZE_WORKER: FreezeWorker,
        FaultKind.DROP_CONNECTIONS: DropConnections,
        FaultKind.FLUSH_REDIS: FlushRedis,
        FaultKind.STOP_DATABASE: StopDatabase,
        FaultKind.TERM_THEN_KILL: TermThenKill,
        FaultKind.LOSE_MESSAGE: LoseMessage,
    }
)
