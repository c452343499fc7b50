"""The composition root: builds the parts of a worker and puts them together."""

import logging
import os
import socket
import time
from collections.abc import Callable
from functools import cache as load_once
from functools import partial
from typing import Final

from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_delay,
    wait_fixed,
)

from penstock_shared import clock
from penstock_shared.broker import make_app, visibility_s
from penstock_shared.errors import LedgerUnavailable, UnknownTier
from penstock_shared.ids import new_job_id
from penstock_shared.ledger import worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import check_schema
from penstock_shared.ledger.settling import Account
from penstock_shared.settings import Settings
from penstock_workers.backlog import Backlog
from penstock_workers.batcher import Batcher, Lease
from penstock_workers.cache.cache import Cache
from penstock_workers.delivery import held_tags
from penstock_workers.desk import Desk
from penstock_workers.embedding import Embeddings
from penstock_workers.encoder import Encoder
from penstock_workers.engine.process import HOST, EngineProcess
from penstock_workers.flights import Flights
from penstock_workers.health import health_file
from penstock_workers.heartbeat import Heartbeat, Life
from penstock_workers.held import Held
from penstock_workers.intake import Intake
from penstock_workers.keeper import Keeper
from penstock_workers.loading import Loading
from penstock_workers.models import engine_config
from penstock_workers.patience import Patience
from penstock_workers.rendering import Renderer
from penstock_workers.settlement import Settlements
from penstock_workers.shadows import Shadows
from penstock_workers.sweeper import Sweeper
from penstock_workers.trials import Trials
from penstock_workers.unfinished import Unfinished
from penstock_workers.worker import Parts, Worker

log = logging.getLogger(__name__)
_LEDGER_S: Final = 60.0
_LOOK_S: Final = 1.0
_CORES_PER_THREAD: Final = 4


def assemble(
    settings: Settings, tier: str, *, engine_host: str = HOST, renderer: Renderer | None = None
) -> Worker:
    """A worker of this tier, its engine loading. Call in the main thread.

    Another ``engine_host`` and ``renderer`` make a worker whose engine is not vLLM. Raises
    UnknownTier, LedgerUnavailable and SchemaMismatch.
    """
    if tier not in settings.tiers:
        raise UnknownTier(f"no tier {tier!r}; the tiers are {', '.join(settings.tiers)}")
    config = settings.tiers[tier]
    lease = Lease(f"{tier}-{new_job_id()[-12:]}", round(settings.worker.lease_s * 1000))
    database = _open_ledger(settings)
    started_ns, started_ms = time.monotonic_ns(), clock.now_ms()
    # The engine's process starts first: it loads while encoder and tokenizer load here.
    slowdown = settings.worker.interactive_slowdown
    engine = EngineProcess(
        engine_config(config, started_ns)._replace(interactive_slowdown=slowdown),
        host=engine_host,
        max_silence_s=settings.worker.engine_silence_s,
    )
    _open_books(database, lease.worker_id, tier, settings, started_ms)
    loading = Loading(
        lease.worker_id,
        database=database,
        engine=engine,
        every_s=settings.worker.heartbeat_s,
        now_ms=clock.now_ms,
    )
    with loading:
        return Worker(_parts(settings, tier, lease, database, engine, loading, renderer))


def _parts(
    settings: Settings,
    tier: str,
    lease: Lease,
    database: Database,
    engine: EngineProcess,
    loading: Loading,
    renderer: Renderer | None,
) -> Parts:
    config = settings.tiers[tier]
    app = make_app(settings)
    renderer = renderer or Renderer.load(config)
    encoder_of = _encoder_of(settings)
    cache = _cache(database, settings, tier, encoder_of)
    held, flights, patience = Held(), Flights(), Patience()
    intake = Intake(
        max_batch_size=settings.worker.max_batch_size, max_wait_ms=settings.worker.max_wait_ms
    )
    account = Account(lease.worker_id, tier)
    unfinished = Unfinished(
        database=database,
        account=account,
        held=held,
        intake=intake,
        patience=patience,
        max_attempts=settings.worker.max_attempts,
        engine=engine,
        now_ms=clock.now_ms,
    )
    trials = Trials(
        database=database,
        tier=tier,
        cache=cache,
        renderer=renderer,
        shadows=Shadows(flights, engine),
        engine=engine,
        patience=patience,
        explore_share=settings.cache.explore_share,
        answer_similarity=settings.cache.answer_similarity,
        now_ms=clock.now_ms,
    )
    settlements = Settlements(
        database=database,
        account=account,
        tier=config,
        intake=intake,
        cache=cache,
        renderer=renderer,
        flights=flights,
        held=held,
        unfinished=unfinished,
        trials=trials,
        engine=engine,
        patience=patience,
        now_ms=clock.now_ms,
    )
    embeddings = Embeddings(
        encoder=encoder_of,
        name=settings.cache.encoder,
        settle=settlements.add_ended,
        now_ms=clock.now_ms,
    )
    heartbeat = Heartbeat(
        Life(
            *lease,
            tier=tier,
            heartbeat_s=settings.worker.heartbeat_s,
            health_file=health_file(settings.home, tier, os.getpid()),
        ),
        database=database,
        cache=cache,
        held=held,
        flights=flights,
        engine=engine,
        settlements=settlements,
        shadows=trials.shadows,
        now_ms=clock.now_ms,
    )
    return Parts(
        worker_id=lease.worker_id,
        tier=tier,
        settings=settings,
        database=database,
        app=app,
        loading=loading,
        intake=intake,
        desk=Desk(tier, settings=settings, database=database, intake=intake, patience=patience),
        batcher=Batcher(
            database=database,
            lease=lease,
            held=held,
            intake=intake,
            backlog=Backlog(
                database=database,
                tier=tier,
                **lease._asdict(),
                at_once=settings.worker.max_batch_size,
                flights=flights,
                held=held,
                engine=engine,
                patience=patience,
                now_ms=clock.now_ms,
            ),
            cache=cache,
            renderer=renderer,
            flights=flights,
            engine=engine,
            settlements=settlements,
            embeddings=embeddings,
            trials=trials,
            unfinished=unfinished,
            patience=patience,
            now_ms=clock.now_ms,
        ),
        held=held,
        flights=flights,
        engine=engine,
        settlements=settlements,
        embeddings=embeddings,
        trials=trials,
        unfinished=unfinished,
        heartbeat=heartbeat,
        sweeper=Sweeper(
            lease.worker_id,
            database=database,
            app=app,
            settings=settings,
            may_judge=heartbeat.may_judge,
            now_ms=clock.now_ms,
        ),
        keeper=Keeper(app, held_tags, visibility_s(settings) / 4),
        patience=patience,
    )


def _open_ledger(settings: Settings) -> Database:
    """The ledger; a server that is away is waited for, because starting a worker is expensive."""
    database = Database(settings.ledger)
    Retrying(
        retry=retry_if_exception_type(LedgerUnavailable),
        wait=wait_fixed(_LOOK_S),
        stop=stop_after_delay(0 if database.is_sqlite else _LEDGER_S),
        before_sleep=before_sleep_log(log, logging.WARNING),
        reraise=True,
    )(check_schema, database)
    return database


def _open_books(
    database: Database, worker_id: str, tier: str, settings: Settings, started_ms: int
) -> None:
    worker_time.open_books(
        database,
        worker_id=worker_id,
        tier=tier,
        host=socket.gethostname(),
        price_per_hour_pusd=settings.tiers[tier].price_per_hour_pusd,
        started_ms=started_ms,
    )


def _encoder_of(settings: Settings) -> Callable[[], Encoder]:
    """The worker's one encoder, loaded when it is first wanted; a failure is not remembered.

    It leaves cores to the engine: threads of both that wait for each other take five times as long.
    """
    wanted = settings.cache
    threads = max(1, len(os.sched_getaffinity(0)) // _CORES_PER_THREAD)
    return load_once(partial(Encoder.load, wanted.encoder, wanted.encoder_backend, threads=threads))


def _cache(
    database: Database, settings: Settings, tier: str, encoder_of: Callable[[], Encoder]
) -> Cache:
    wanted = settings.cache
    is_semantic = wanted.enabled and wanted.semantic
    cache = Cache(
        database,
        wanted,
        tier=tier,
        identity=settings.tiers[tier].identity(),
        encoder=encoder_of() if is_semantic else None,
        now_ms=clock.now_ms,
    )
    cache.refresh()
    return cache
