"""The heartbeat: keeps leases alive, hears of cancellations and deadlines, keeps the books."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from penstock_shared.errors import Unavailable
from penstock_shared.ledger import claiming, worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.words import JobState
from penstock_workers.cache.cache import Cache
from penstock_workers.engine.protocol import Engine
from penstock_workers.flights import Flights
from penstock_workers.settlement import Settlements

log = logging.getLogger(__name__)
_TICK_S: Final = 0.5


class Life(NamedTuple):
    """Who beats, how often, and where the sign of life lies."""

    worker_id: str
    lease_ms: int
    tier: str
    heartbeat_s: float
    health_file: Path


class Heartbeat:
    """A thread that ticks twice a second: cheap checks at each tick, the ledger at each beat."""

    def __init__(
        self,
        life: Life,
        *,
        database: Database,
        cache: Cache,
        flights: Flights,
        engine: Engine,
        settlements: Settlements,
        now_ms: Callable[[], int],
    ) -> None:
        self._life = life
        self._database = database
        self._cache = cache
        self._flights = flights
        self._engine = engine
        self._settlements = settlements
        self._now_ms = now_ms
        self._stopped = threading.Event()
        self._next_beat = 0.0
        self._steps = -1
        self._progress_at = time.monotonic()

    def run(self) -> None:
        """Tick until stopped. What fails is tried again, and keeps nothing else from being done."""
        while not self._stopped.wait(_TICK_S):
            for part in (self._end_overdue, self._ask_ledger, self._write_health):
                self._survive(part)

    def stop(self) -> None:
        """Let ``run`` return."""
        self._stopped.set()

    def close_books(self, *, engine_died: bool) -> None:
        """Write the last word about this worker's time. Call when the engine has stopped."""
        worker_time.close_books(
            self._database,
            self._life.worker_id,
            self._engine.pulse().spent,
            self._now_ms(),
            engine_died=engine_died,
        )
        self._life.health_file.unlink(missing_ok=True)

    def _survive(self, part: Callable[[], None]) -> None:
        try:
            part()
        except Unavailable as error:
            log.warning("heartbeat without the ledger: %s", error)
        except Exception:
            log.exception("a part of the heartbeat failed")

    def _ask_ledger(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + self._life.heartbeat_s
            self._beat()
        self._cache.refresh()  # after the beat: it must never cost a lease

    def _beat(self) -> None:
        verdicts = claiming.renew(
            self._database,
            self._flights.claims(),
            worker_id=self._life.worker_id,
            lease_ms=self._life.lease_ms,
            now_ms=self._now_ms(),
        )
        for job_id in verdicts.cancelled:
            self._end(job_id, JobState.CANCELLED, "cancelled by the caller")
        for job_id in verdicts.lost:
            self._end(job_id, JobState.CANCELLED, "the claim was lost")
        worker_time.keep_books(
            self._database, self._life.worker_id, self._engine.pulse().spent, self._now_ms()
        )

    def _end_overdue(self) -> None:
        now = self._now_ms()
        for claim in self._flights.claims():
            if claim.deadline_ms is not None and claim.deadline_ms <= now:
                self._end(claim.job_id, JobState.EXPIRED, "the deadline passed while it ran")

    def _end(self, job_id: str, verdict: JobState, reason: str) -> None:
        flight_id, left = self._flights.leave(job_id, verdict, reason)
        if flight_id is not None:
            self._engine.abort([flight_id])
        if left is not None:
            self._settlements.withdraw(left)

    def _write_health(self) -> None:
        """Progress, not a pid: an engine with work that makes no steps gets older and older."""
        pulse, now = self._engine.pulse(), time.monotonic()
        if pulse.steps != self._steps or not len(self._flights):
            self._steps, self._progress_at = pulse.steps, now
        sign = {
            "worker_id": self._life.worker_id,
            "tier": self._life.tier,
            "pid": os.getpid(),
            "at_ms": self._now_ms(),
            "in_flight": len(self._flights),
            "steps": pulse.steps,
            "no_progress_s": round(now - self._progress_at, 1),
        }
        beside = self._life.health_file.with_suffix(".new")
        beside.write_text(json.dumps(sign), encoding="utf-8")
        beside.replace(self._life.health_file)
