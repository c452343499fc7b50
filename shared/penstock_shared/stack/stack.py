"""The stack: started in order, watched, stopped in order."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from pydantic import SecretStr

from penstock_shared.errors import EngineError
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.settings import Settings
from penstock_shared.stack.home import password_of, write_connection
from penstock_shared.stack.processes import Child, free_port
from penstock_shared.stack.redis_server import RedisServer

_LOAD_S: Final = 300.0
_KILL_GRACE_S: Final = 10.0
_RESTART_PAUSE_S: Final = (1, 2, 5, 10, 30)
_STEADY_S: Final = 60.0  # a child that ran this long is not one that cannot start


class Supervised:
    """A child that is started again, later each time, when it ends unasked."""

    def __init__(self, child: Child, ready_file: Path | None = None) -> None:
        self.child = child
        self.restarts = 0
        self._ready_file = ready_file
        self._start_at = 0.0
        self._started_at = 0.0
        self._failures = 0

    @property
    def is_ready(self) -> bool:
        """True when the child runs and has said that it is ready."""
        return self.child.is_running and (self._ready_file is None or self._ready_file.exists())

    def start(self) -> None:
        """Start the child."""
        if self._ready_file is not None:
            self._ready_file.unlink(missing_ok=True)
        self._started_at = time.monotonic()
        self.child.start()

    def tend(self) -> bool:
        """Start the child again if it ended and its pause is over; True when it just ended."""
        if self.child.is_running:
            return False
        if self._start_at == 0.0:
            now = time.monotonic()
            self._failures = 0 if now - self._started_at > _STEADY_S else self._failures
            self._start_at = now + _RESTART_PAUSE_S[self._failures]
            self._failures = min(self._failures + 1, len(_RESTART_PAUSE_S) - 1)
            return True
        if time.monotonic() >= self._start_at:
            self._start_at = 0.0
            self.restarts += 1
            self.start()
        return False


class Stack:
    """Redis, the ledger, a worker for each tier and Flower, on one home that the caller holds.

    Where the settings name a broker or a ledger, that one is used instead of the bundled one.
    """

    def __init__(self, settings: Settings, *, tiers: Sequence[str] | None = None) -> None:
        home = settings.home
        self._logs = home / "logs"
        self._redis: RedisServer | None = None
        if settings.broker_url is None:
            self._redis = RedisServer(
                home / "redis", password_of(home, "redis"), self._logs / "redis.log"
            )
        self.settings = settings.model_copy(
            update={
                "broker_url": SecretStr(self._redis.url if self._redis else settings.broker),
                "ledger_url": SecretStr(settings.ledger),
            }
        )
        self.flower_port = settings.flower.port or free_port()
        self.flower_password = password_of(home, "flower")
        write_connection(
            home,
            {
                "broker_url": self.settings.broker,
                "ledger_url": self.settings.ledger,
                "flower_url": f"http://127.0.0.1:{self.flower_port}",
                "pid": os.getpid(),
            },
        )
        self.workers = {
            tier: self._worker(tier, home / "run" / f"{tier}.ready")
            for tier in tiers or settings.tiers
        }
        self._flower = Supervised(self._penstock_worker("flower", "flower"))
        bundled = [Supervised(self._redis.child)] if self._redis else []
        self._watched = [*bundled, *self.workers.values(), self._flower]

    def start(self) -> Self:
        """Start everything and return at once; ``wait_ready`` waits for the engines."""
        database = Database(self.settings.ledger)
        migrate(database)
        database.close()
        if self._redis:
            self._redis.start()
        for worker in self.workers.values():
            worker.start()
        self._flower.start()
        return self

    def wait_ready(self, on_ready: Callable[[str], None]) -> None:
        """Wait for every worker; ``on_ready`` hears each tier. Raises EngineError."""
        waiting = dict(self.workers)
        end = time.monotonic() + _LOAD_S
        while waiting:
            for tier, worker in list(waiting.items()):
                if worker.is_ready:
                    del waiting[tier]
                    on_ready(tier)
                elif not worker.child.is_running or time.monotonic() > end:
                    raise EngineError(
                        f"the worker of tier {tier} did not start; see {worker.child.log}\n"
                        f"{worker.child.last_words()}"
                    )
            time.sleep(0.1)

    def tend(self) -> list[str]:
        """Restart what ended unasked; returns the names of what just ended."""
        return [supervised.child.name for supervised in self._watched if supervised.tend()]

    def stop(self) -> None:
        """Stop everything: workers drain first, Redis goes last."""
        workers = [worker.child for worker in self.workers.values()]
        self._flower.child.terminate()
        for child in workers:
            child.terminate()
        for child in [*workers, self._flower.child]:
            child.stop(self.settings.worker.drain_s + _KILL_GRACE_S)
        if self._redis:
            self._redis.child.stop(_KILL_GRACE_S)

    def _worker(self, tier: str, ready_file: Path) -> Supervised:
        ready_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        child = self._penstock_worker(
            f"worker-{tier}", "run", "--tier", tier, "--ready-file", str(ready_file)
        )
        return Supervised(child, ready_file)

    def _penstock_worker(self, name: str, *arguments: str) -> Child:
        # Started as a module so that this side never imports the other.
        command = [sys.executable, "-m", "penstock_workers", *arguments]
        environment = {
            **os.environ,
            "PENSTOCK_HOME": str(self.settings.home),
            "PENSTOCK_BROKER_URL": self.settings.broker,
            "PENSTOCK_LEDGER_URL": self.settings.ledger,
            "PENSTOCK_FLOWER__PORT": str(self.flower_port),
            "PENSTOCK_FLOWER__PASSWORD": self.flower_password,
        }
        if self.settings.config is not None:
            environment["PENSTOCK_CONFIG"] = str(self.settings.config)
        return Child(name, command, log=self._logs / f"{name}.log", environment=environment)
