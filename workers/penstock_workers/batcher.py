"""The way of a job through a worker, from the queue to the engine."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger import claiming
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.words import JobState
from penstock_workers.cache.cache import Cache, Lookup
from penstock_workers.engine.protocol import Engine, EngineRequest
from penstock_workers.flights import Flights
from penstock_workers.intake import Intake
from penstock_workers.patience import Patience
from penstock_workers.rendering import Renderer
from penstock_workers.settlement import Settlements

log = logging.getLogger(__name__)


class Lease(NamedTuple):
    """Under which name and for how long this worker claims."""

    worker_id: str
    lease_ms: int


class Batcher:
    """Admits jobs in batches; the engine batches them again, continuously, on its own."""

    def __init__(
        self,
        *,
        database: Database,
        lease: Lease,
        intake: Intake,
        cache: Cache,
        renderer: Renderer,
        flights: Flights,
        engine: Engine,
        settlements: Settlements,
        patience: Patience,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._lease = lease
        self._intake = intake
        self._cache = cache
        self._renderer = renderer
        self._flights = flights
        self._engine = engine
        self._settlements = settlements
        self._patience = patience
        self._now_ms = now_ms

    def run(self) -> None:
        """Admit batch after batch until the intake closes."""
        while job_ids := self._intake.next_batch(self._has_room):
            try:
                self._admit(job_ids)
            except Exception:
                log.exception("an admission batch of %d failed; its jobs go back", len(job_ids))
                self._give_back(job_ids)

    def _admit(self, job_ids: Sequence[str]) -> None:
        """One batch: claim in one statement, look up in one pass, and on to the engine."""
        claims = self._claim(job_ids)
        lookups = self._patience.call(lambda: self._cache.lookup(claims))
        self._settlements.add_hits([lookup for lookup in lookups if lookup.hit])
        misses = [lookup for lookup in lookups if not lookup.hit]
        self._engine.submit([r for lookup in misses if (r := self._board(lookup))])

    def _claim(self, job_ids: Sequence[str]) -> list[Claim]:
        """Claim what can be claimed; the rest is answered with what the ledger says of it."""
        claims = self._patience.call(
            lambda: claiming.claim(
                self._database, job_ids, now_ms=self._now_ms(), **self._lease._asdict()
            )
        )
        rest = set(job_ids) - {claim.job_id for claim in claims}
        if rest:
            states = self._patience.call(lambda: claiming.states(self._database, list(rest)))
            for job_id in rest:
                self._intake.resolve(job_id, states.get(job_id, JobState.FAILED))
        return claims

    def _board(self, lookup: Lookup) -> EngineRequest | None:
        """Start a flight for a job; None when it joined one, or cannot be rendered."""
        if self._flights.join(lookup):
            return None
        request = lookup.claim.request
        try:
            token_ids = self._renderer.render(request, self._engine.limits.max_model_len)
        except InvalidRequest as error:
            self._settlements.add_failure(lookup, str(error))
            return None
        self._flights.start(lookup, len(token_ids))
        salt = hashlib.sha256(request.tenant.encode()).hexdigest()[:16]
        return EngineRequest(lookup.claim.job_id, token_ids, request.sampling, salt)

    def _give_back(self, job_ids: Sequence[str]) -> None:
        # Their leases run out and the sweeper finds them; an attempt is counted, so that a job
        # that breaks admission ends dead instead of coming back for ever.
        self._engine.abort(job_ids)
        for job_id in job_ids:
            self._flights.land(job_id)
            self._intake.resolve(job_id, JobState.RUNNING)

    def _has_room(self) -> bool:
        return len(self._flights) < self._engine.limits.max_num_seqs
