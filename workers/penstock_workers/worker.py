"""The worker: one process, one tier, one engine. How it starts, drains and ends."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from celery import Celery
from celery.signals import worker_ready, worker_shutting_down

from penstock_shared.broker import UNROUTED_QUEUE, queue_of
from penstock_shared.errors import EngineError
from penstock_shared.ledger import claiming
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from penstock_shared.words import JobState
from penstock_workers.batcher import Batcher
from penstock_workers.desk import Desk
from penstock_workers.engine.process import EngineProcess
from penstock_workers.flights import Flights
from penstock_workers.heartbeat import Heartbeat
from penstock_workers.intake import Intake
from penstock_workers.patience import Patience
from penstock_workers.settlement import Settlements
from penstock_workers.sweeper import Sweeper
from penstock_workers.task import register

log = logging.getLogger(__name__)
_JOIN_S: Final = 15.0
_TICK_S: Final = 0.05


class Parts(NamedTuple):
    """What a worker consists of; ``assembly.assemble`` builds them."""

    worker_id: str
    tier: str
    settings: Settings
    database: Database
    app: Celery
    intake: Intake
    desk: Desk
    batcher: Batcher
    flights: Flights
    engine: EngineProcess
    settlements: Settlements
    heartbeat: Heartbeat
    sweeper: Sweeper
    patience: Patience


class Worker:
    """The life of one worker."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._engine_died_of: str | None = None

    def run(self, *, on_ready: Callable[[], None]) -> None:
        """Work until SIGTERM. Raises EngineError when the engine dies; a supervisor restarts us."""
        parts = self._parts
        parts.engine.wait_ready(
            on_completions=parts.settlements.add_completions, on_death=self._on_engine_death
        )
        named = {
            "admission": parts.batcher.run,
            "settlement": parts.settlements.run,
            "heartbeat": parts.heartbeat.run,
            "sweeper": parts.sweeper.run,
        }
        threads = [threading.Thread(target=r, name=n, daemon=True) for n, r in named.items()]
        for thread in threads:
            thread.start()
        try:
            self._consume(on_ready)
        finally:
            self._stop(threads)
        if self._engine_died_of is not None:
            raise EngineError(self._engine_died_of)

    def _consume(self, on_ready: Callable[[], None]) -> None:
        """Let Celery deliver jobs until it is told to stop."""
        parts, settings = self._parts, self._parts.settings.worker
        register(parts.app, parts.desk)
        worker_shutting_down.connect(self._on_shutting_down, weak=False)
        worker_ready.connect(lambda **_: on_ready(), weak=False)
        slots = parts.engine.limits.max_num_seqs + 2 * settings.max_batch_size
        consumer = parts.app.Worker(
            hostname=f"{parts.worker_id}@{socket.gethostname()}",
            queues=[queue_of(parts.tier), *([UNROUTED_QUEUE] if settings.accept_unrouted else [])],
            pool="threads",
            concurrency=slots,
            loglevel="WARNING",
            without_mingle=True,
            without_gossip=True,
        )
        consumer.start()

    def _on_shutting_down(self, **_: object) -> None:
        # Celery calls this inside its signal handler, where no lock may be taken.
        threading.Thread(target=self._drain, name="drain", daemon=True).start()

    def _drain(self) -> None:
        """Intake stops at once; what ends within drain_s is settled, the rest goes back."""
        parts = self._parts
        parts.intake.close()
        end = time.monotonic() + parts.settings.worker.drain_s
        while len(parts.flights) and time.monotonic() < end:
            time.sleep(_TICK_S)
        parts.engine.abort(parts.flights.ids())

    def _on_engine_death(self, reason: str) -> None:
        """Let the leases of what was in the engine run out now, and end."""
        parts = self._parts
        log.error("%s; its %d requests go back to their queue", reason, len(parts.flights))
        self._engine_died_of = reason
        parts.intake.close()
        for flight_id in parts.flights.ids():
            claims = [p.lookup.claim for p in parts.flights.land(flight_id)]
            parts.patience.call(partial(claiming.abandon, parts.database, claims))
            for claim in claims:
                parts.intake.resolve(claim.job_id, JobState.RUNNING)
        os.kill(os.getpid(), signal.SIGTERM)

    def _stop(self, threads: Sequence[threading.Thread]) -> None:
        """Settle what ended, then close everything in order."""
        parts = self._parts
        parts.intake.close()
        parts.settlements.stop()
        parts.sweeper.stop()
        parts.heartbeat.stop()
        for thread in threads:
            thread.join(_JOIN_S)
        parts.patience.give_up()
        parts.engine.close()
        parts.heartbeat.close_books(engine_died=self._engine_died_of is not None)
        parts.database.close()
