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
from penstock_shared.ledger.claiming import Fenced
from penstock_shared.ledger.database import Database
from penstock_shared.words import JobState
from penstock_workers.cache.cache import Cache
from penstock_workers.engine.protocol import Engine
from penstock_workers.flights import Flights
from penstock_workers.held import Held
from penstock_workers.settlement import Settlements
from penstock_workers.shadows import Shadows

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
        held: Held,
        flights: Flights,
        engine: Engine,
        settlements: Settlements,
        shadows: Shadows,
        now_ms: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._life = life
        self._database = database
        self._cache = cache
        self._held = held
        self._flights = flights
        self._engine = engine
        self._settlements = settlements
        self._shadows = shadows
        self._now_ms = now_ms
        self._clock = clock
        self._stopped = threading.Event()
        self._next_beat = 0.0
        self._is_away = False
        self._beat_at = clock()
        self._cut_off_until = 0.0
        self._done = (-1, -1)
        self._progress_at = clock()
        self.heard_at = clock()

    def run(self) -> None:
        """Tick until stopped. What fails is tried again, and keeps nothing else from being done."""
        self._beat_at = self._clock()  # the engine has loaded meanwhile
        tick_s = min(_TICK_S, self._life.heartbeat_s or _TICK_S)
        while not self._stopped.wait(tick_s):
            for part in (
                self._end_overdue,
                self._ask_ledger,
                self._cache.refresh,
                self._shadows.board,
                self._write_health,
            ):
                self._survive(part)

    def stop(self) -> None:
        """Let ``run`` return."""
        self._stopped.set()

    def hear(self) -> None:
        """Note that the broker's loop turns."""
        self.heard_at = self._clock()

    def may_judge(self) -> bool:
        """True when this worker has reached the ledger long enough to call others lost.

        When the ledger was away, or we were frozen, every lease may have run out without anybody's
        death: then all have the time of a lease to come back.
        """
        now = self._clock()
        return now - self._beat_at <= self._longest_gap_s and now >= self._cut_off_until

    def close_books(self, *, died: bool) -> None:
        """Write the last word about this worker's time. Call when the engine has stopped."""
        worker_time.close_books(
            self._database,
            self._life.worker_id,
            self._engine.pulse().spent,
            self._now_ms(),
            died=died,
        )
        self._life.health_file.unlink(missing_ok=True)

    def _survive(self, part: Callable[[], None]) -> None:
        try:
            part()
        except Unavailable as error:
            if not self._is_away:
                log.warning("heartbeat without the ledger: %s", error)
            self._is_away = True
        except Exception:
            log.exception("a part of the heartbeat failed")

    def _ask_ledger(self) -> None:
        for claim in claiming.to_cancel(self._database, self._life.worker_id):
            self._end(claim, JobState.CANCELLED, claiming.WITHDRAWN)
        if self._clock() >= self._next_beat:
            self._beat()
            self._next_beat = self._clock() + self._life.heartbeat_s

    def _beat(self) -> None:
        now_ms = self._now_ms()  # one for both: who is seen as long ago as its leases is silent
        lost = claiming.renew(
            self._database,
            self._held.claims(),
            worker_id=self._life.worker_id,
            lease_ms=self._life.lease_ms,
            now_ms=now_ms,
        )
        for claim in lost:
            self._end(claim, JobState.CANCELLED, "the claim was lost")
        worker_time.keep_books(
            self._database, self._life.worker_id, self._engine.pulse().spent, now_ms
        )
        now = self._clock()
        if now - self._beat_at > self._longest_gap_s:
            self._cut_off_until = now + self._life.lease_ms / 1000
        self._beat_at = now
        if self._is_away:
            log.warning("the ledger is back")
        self._is_away = False

    @property
    def _longest_gap_s(self) -> float:
        """Between two beats; after a longer one our own leases may have run out."""
        lease_s = self._life.lease_ms / 1000
        return max(lease_s / 2, lease_s - 2 * self._life.heartbeat_s)

    def _end_overdue(self) -> None:
        now = self._now_ms()
        for claim in self._flights.claims():
            if claim.deadline_ms is not None and claim.deadline_ms <= now:
                self._end(claim, JobState.EXPIRED, "the deadline passed while it ran")

    def _end(self, claim: Fenced, verdict: JobState, reason: str) -> None:
        flight_id, left = self._flights.leave(claim, verdict, reason)
        if flight_id is not None:
            self._engine.abort([flight_id])
        if left is not None:
            self._settlements.withdraw(left)

    def _write_health(self) -> None:
        """Progress, not a pid: with jobs, but no step and no settlement, it gets old."""
        pulse, now = self._engine.pulse(), self._clock()
        done = (pulse.steps, self._settlements.settled)
        if done != self._done or not len(self._held):
            self._done, self._progress_at = done, now
        sign = {
            "worker_id": self._life.worker_id,
            "tier": self._life.tier,
            "pid": os.getpid(),
            "at_ms": self._now_ms(),
            "held": len(self._held),
            "in_flight": pulse.running,
            "steps": pulse.steps,
            "no_progress_s": round(now - self._progress_at, 1),
            "broker_silent_s": round(now - self.heard_at, 1),
        }
        beside = self._life.health_file.with_suffix(".new")
        beside.write_text(json.dumps(sign), encoding="utf-8")
        beside.replace(self._life.health_file)
