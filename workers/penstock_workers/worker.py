"""The worker: one process, one tier, one engine. How it starts, drains and ends."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from celery import Celery

from penstock_shared.broker import UNROUTED_QUEUE, queues_of
from penstock_shared.errors import EngineError, PenstockError
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from penstock_workers.batcher import Batcher
from penstock_workers.delivery import Delivery
from penstock_workers.desk import Desk
from penstock_workers.embedding import Embeddings
from penstock_workers.engine.process import EngineProcess
from penstock_workers.flights import Flights
from penstock_workers.heartbeat import Heartbeat
from penstock_workers.held import Held
from penstock_workers.intake import Intake
from penstock_workers.keeper import Keeper
from penstock_workers.loading import Loading
from penstock_workers.patience import Patience
from penstock_workers.settlement import Settlements
from penstock_workers.sweeper import Sweeper
from penstock_workers.task import register
from penstock_workers.trials import Trials
from penstock_workers.unfinished import Unfinished

log = logging.getLogger(__name__)
_JOIN_S: Final = 15.0
_SETTLE_S: Final = 2.0
_TICK_S: Final = 0.05


class Parts(NamedTuple):
    """What a worker consists of; ``assembly.assemble`` builds them."""

    worker_id: str
    tier: str
    settings: Settings
    database: Database
    app: Celery
    loading: Loading
    intake: Intake
    desk: Desk
    batcher: Batcher
    held: Held
    flights: Flights
    engine: EngineProcess
    settlements: Settlements
    embeddings: Embeddings
    trials: Trials
    unfinished: Unfinished
    heartbeat: Heartbeat
    sweeper: Sweeper
    keeper: Keeper
    patience: Patience


class Worker:
    """The life of one worker."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._died_of: str | None = None

    def run(self, *, on_ready: Callable[[], None]) -> None:
        """Work until SIGTERM. Raises EngineError when the engine dies; a supervisor restarts us."""
        parts = self._parts
        with parts.loading:
            parts.engine.wait_ready(
                on_completions=parts.settlements.add_completions, on_death=self._on_engine_death
            )
        named = {
            "admission": parts.batcher.run,
            "settlement": parts.settlements.run,
            "embeddings": parts.embeddings.run,
            "trials": parts.trials.run,
            "heartbeat": parts.heartbeat.run,
            "sweeper": parts.sweeper.run,
            "keeper": parts.keeper.run,
        }
        threads = [
            threading.Thread(target=self._watched, args=(name, run), name=name, daemon=True)
            for name, run in named.items()
        ]
        for thread in threads:
            thread.start()
        try:
            self._deliver(on_ready)
        finally:
            self._stop(threads)
        if self._died_of is not None:
            raise EngineError(self._died_of)

    def _watched(self, name: str, run: Callable[[], None]) -> None:
        """A worker without one of its threads would live on and do nothing: it ends instead."""
        try:
            run()
        except BaseException as error:
            log.exception("the thread %s broke", name)
            self._die_of(f"the worker's thread {name} broke ({type(error).__name__})")

    def _deliver(self, on_ready: Callable[[], None]) -> None:
        """Let Celery deliver jobs until it is told to stop."""
        parts, settings = self._parts, self._parts.settings.worker
        register(parts.app, parts.desk)
        unrouted = [UNROUTED_QUEUE] if settings.accept_unrouted else []
        delivery = Delivery(
            parts.app,
            drain=lambda: self._drain(delivery),
            on_ready=on_ready,
            on_tick=parts.heartbeat.hear,
            hostname=f"{parts.worker_id}@{socket.gethostname()}",
            queues=[*queues_of(parts.tier), *unrouted],
            concurrency=parts.engine.limits.max_num_seqs + 2 * settings.max_batch_size,
            without_mingle=True,
            without_gossip=True,
        )
        delivery.start()

    def _drain(self, delivery: Delivery) -> None:
        """Intake stops at once; what ends within drain_s is settled, the rest goes back."""
        parts = self._parts
        log.info("draining: %d jobs in hand, %d go back", len(parts.held), parts.intake.close())
        parts.trials.shadows.close()
        end = time.monotonic() + parts.settings.worker.drain_s
        while len(parts.held) and time.monotonic() < end:
            if delivery.is_hurried or self._died_of is not None:
                break
            time.sleep(_TICK_S)
        parts.engine.abort(parts.flights.ids())
        end = time.monotonic() + (_JOIN_S if self._died_of is None else _SETTLE_S)
        while self._has_open_ends() and time.monotonic() < end:
            if self._died_of is not None:  # it had not begun these, and will not end them
                parts.unfinished.give_back([claim for _, claim in self._landed()])
            time.sleep(_TICK_S)
        parts.intake.send_back_all()

    def _has_open_ends(self) -> bool:
        """Whether a message is in hand, or something is in the engine; lines have no messages."""
        parts = self._parts
        return bool(len(parts.intake) or len(parts.flights) or parts.trials.shadows.inside)

    def _on_engine_death(self, reason: str) -> None:
        """What was in the engine is lost, alone or together; what was not goes back."""
        parts = self._parts
        log.error("%s; it had %d requests", reason, len(parts.flights))
        parts.intake.close()
        landed = self._landed()
        flights = {flight_id for flight_id, _ in landed}
        claims = [claim for _, claim in landed]
        together = len(flights) + parts.trials.shadows.flying > 1
        parts.trials.shadows.forget()
        parts.unfinished.lose(claims, reason, together=together)
        self._die_of(reason)

    def _landed(self) -> list[tuple[str, Claim]]:
        """Take all claims off their flights; each comes with the id of its flight."""
        flights = self._parts.flights
        return [(i, p.lookup.claim) for i in flights.ids() for p in flights.land(i)]

    def _die_of(self, reason: str) -> None:
        self._died_of = reason
        os.kill(os.getpid(), signal.SIGTERM)

    def _stop(self, threads: Sequence[threading.Thread]) -> None:
        """Settle what ended, then close everything in order."""
        parts = self._parts
        parts.intake.close()
        parts.embeddings.stop(cut_short=True)
        for part in (parts.settlements, parts.sweeper, parts.keeper):
            part.stop()
        named = {thread.name: thread for thread in threads}
        heartbeat, trials = named.pop("heartbeat"), named.pop("trials")
        end = time.monotonic() + _JOIN_S  # for all together: without the ledger none may end
        _join(named.values(), end)
        parts.trials.stop()  # after what it gets its work from
        _join([trials], end)
        parts.patience.give_up()
        parts.heartbeat.stop()  # the last one: leases are renewed to the end
        _join([heartbeat], max(end, time.monotonic() + _SETTLE_S))
        self._last_words()
        parts.database.close()

    def _last_words(self) -> None:
        parts = self._parts
        parts.engine.close()
        try:
            unsettled = parts.held.claims()
            parts.unfinished.give_back(unsettled)
            is_rest = bool(unsettled or parts.trials.shadows.inside or parts.engine.pulse().running)
            parts.heartbeat.close_books(died=self._died_of is not None or is_rest)
        except PenstockError as error:
            log.warning("the last words are left to a sweep: %s", error)


def _join(threads: Iterable[threading.Thread], end: float) -> None:
    """Wait for threads until a moment of the monotonic clock."""
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
