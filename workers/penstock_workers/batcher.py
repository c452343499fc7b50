"""The way of a job through a worker, from the queue to the engine."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger import claiming
from penstock_shared.ledger.claiming import Claim, Claimed
from penstock_shared.ledger.database import Database
from penstock_shared.words import JobState
from penstock_workers.backlog import Backlog
from penstock_workers.boarding import engine_request
from penstock_workers.cache.cache import Cache, Lookup
from penstock_workers.embedding import Embeddings
from penstock_workers.engine.protocol import Engine, EngineRequest
from penstock_workers.flights import Flights
from penstock_workers.held import Held
from penstock_workers.intake import Intake
from penstock_workers.patience import Patience
from penstock_workers.quarantine import Quarantine, Suspect
from penstock_workers.rendering import Renderer
from penstock_workers.settlement import Settlements
from penstock_workers.trials import Trials
from penstock_workers.unfinished import Unfinished

log = logging.getLogger(__name__)
_LOOK_S: Final = 0.01


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
        held: Held,
        intake: Intake,
        backlog: Backlog,
        cache: Cache,
        renderer: Renderer,
        flights: Flights,
        engine: Engine,
        settlements: Settlements,
        embeddings: Embeddings,
        trials: Trials,
        unfinished: Unfinished,
        patience: Patience,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._lease = lease
        self._held = held
        self._intake = intake
        self._backlog = backlog
        self._cache = cache
        self._renderer = renderer
        self._flights = flights
        self._engine = engine
        self._settlements = settlements
        self._embeddings = embeddings
        self._trials = trials
        self._unfinished = unfinished
        self._patience = patience
        self._now_ms = now_ms
        self._in_hand: set[str] = set()  # taken, and not passed on yet
        self._quarantine = Quarantine(held, lambda: engine.limits.max_num_seqs)

    def run(self) -> None:
        """Admit batch after batch until the intake closes."""
        while (job_ids := self._next_batch()) is not None:
            self._in_hand.update(job_ids)
            try:
                claims = self._claim(job_ids)
                self._allow_shadows()
                self._admit_suspects()
                self._admit(claims)
                self._admit_backlog()
            except Exception:
                log.exception("%d jobs cannot be admitted; they go back", len(self._in_hand))
                self._give_back()
        for job_id in self._quarantine.give_up():
            self._intake.send_back(job_id)

    def _give_back(self) -> None:
        """Hold nothing of what was in hand when something went wrong in an unforeseen way."""
        ashore = {job_id for job_id in self._in_hand if job_id not in self._flights}
        self._in_hand.clear()
        held = [claim for claim in self._held.claims() if claim.job_id in ashore]
        self._unfinished.give_back(held)
        for job_id in ashore:
            self._intake.send_back(job_id)

    def _next_batch(self) -> Sequence[str] | None:
        """Wait for jobs, and look after those in quarantine meanwhile; None when it is over."""
        self._allow_shadows()
        if not len(self._quarantine):
            return self._intake.next_batch(self._has_room, timeout_s=self._backlog.wait_s)
        if self._quarantine.wants_silence:
            return None if self._intake.wait_closed(_LOOK_S) else []
        return self._intake.next_batch(self._has_room, timeout_s=_LOOK_S)

    def _allow_shadows(self) -> None:
        """Nobody whom no caller waits for flies beside a suspect."""
        self._trials.shadows.allow(allowed=not len(self._quarantine))

    def _admit_suspects(self) -> None:
        """Admit those whose turn it is; one that runs alone is waited for."""
        while True:
            while (suspect := self._quarantine.take()) is not None:
                self._in_hand.add(suspect)
                self._admit(self._claim([suspect], suspects=True))
            if not self._quarantine.is_running_alone or self._intake.wait_closed(_LOOK_S):
                return

    def _admit_backlog(self) -> None:
        """Lines of batches fill the room that is left; beside suspects they do not run."""
        if not len(self._quarantine):
            claims = self._readable(self._backlog.take())
            self._in_hand.update(claim.job_id for claim in claims)
            with self._backlog.search(len(claims)) as by_meaning:
                self._admit(claims, by_meaning=by_meaning)

    def _admit(self, claims: Sequence[Claim], *, by_meaning: bool = True) -> None:
        """One batch: look up in one pass, and on to the engine; then it is in hand no more."""
        if questions := self._embeddings.take(claims):
            self._admit_questions(questions, by_meaning=by_meaning)
        self._in_hand.difference_update(claim.job_id for claim in claims)

    def _admit_questions(self, claims: Sequence[Claim], *, by_meaning: bool = True) -> None:
        boarding: list[EngineRequest] = []
        try:
            lookups = self._patience.call(lambda: self._cache.lookup(claims, by_meaning=by_meaning))
            hits = [lookup for lookup in lookups if lookup.hit]
            for lookup in lookups:
                boarding += [] if lookup.hit else self._board(lookup)
            self._trials.shadows.make_room()
            self._engine.submit(boarding)
            self._settlements.add_hits(hits)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one job's fault
            begun = [request.request_id for request in boarding]
            self._engine.abort(begun)
            for flight_id in begun:
                self._flights.land(flight_id)
            self._admit_singly(claims, error)
        else:
            self._trials.explore(hits)

    def _admit_singly(self, claims: Sequence[Claim], error: Exception) -> None:
        """One bad job must not fail its batch: alone it loses an attempt, the others go on."""
        if len(claims) > 1:
            log.warning("a batch of %d cannot be admitted; one by one", len(claims))
            for claim in claims:
                self._admit_questions([claim])
            return
        log.exception("job %s cannot be admitted", claims[0].job_id)
        reason = f"it cannot be admitted ({type(error).__name__})"
        self._unfinished.lose(claims, reason, together=False)

    def _claim(self, job_ids: Sequence[str], *, suspects: bool = False) -> list[Claim]:
        """Claim what can be claimed; the rest is answered with what the ledger says of it."""
        if not job_ids:
            return []
        claimed = self._patience.call(
            lambda: claiming.claim(
                self._database,
                job_ids,
                now_ms=self._now_ms(),
                suspects=suspects,
                **self._lease._asdict(),
            ),
            before_again=lambda: claiming.release_strays(
                self._database, self._lease.worker_id, self._held.claims(), self._now_ms()
            ),
        )
        self._held.add(claimed.claims)
        claims = self._readable(claimed)
        others = set(job_ids) - {claim.job_id for claim in claims}
        rest = others - {job.job_id for job in claimed.unreadable}
        if rest:
            self._answer(list(rest), suspects=suspects)
        self._in_hand -= others
        return claims

    def _readable(self, claimed: Claimed) -> list[Claim]:
        """The claims without those that cannot be read here: these lose an attempt.

        A newer worker may be able to read them.
        """
        for unreadable in claimed.unreadable:
            log.error("job %s: %s", unreadable.job_id, unreadable.why)
            self._unfinished.lose([unreadable], unreadable.why, together=False)
        return claimed.claims

    def _answer(self, job_ids: Sequence[str], *, suspects: bool) -> None:
        """Say of jobs that were not claimed how they stand; suspects wait for their turn."""
        found = self._patience.call(lambda: claiming.standings(self._database, job_ids))
        for job_id in job_ids:
            state, suspicion = found.get(job_id, (JobState.FAILED, 0))
            if state is JobState.QUEUED and suspicion and not suspects:
                self._quarantine.add([Suspect(suspicion, job_id)])
            else:
                self._intake.resolve(job_id, state)

    def _board(self, lookup: Lookup) -> list[EngineRequest]:
        """Start a flight for a job, and ask for it; not if it is on one, or cannot be rendered."""
        if self._flights.join(lookup):
            return []
        request = lookup.claim.request
        try:
            boarding = engine_request(
                lookup.claim.job_id,
                request,
                self._renderer,
                max_model_len=self._engine.limits.max_model_len,
                background=lookup.claim.batch_id is not None,
            )
        except InvalidRequest as error:
            self._settlements.add_failure(lookup, str(error))
            return []
        self._flights.start(lookup, len(boarding.prompt_token_ids))
        return [boarding]

    def _has_room(self) -> bool:
        return self._flights.awaited < self._engine.limits.max_num_seqs
