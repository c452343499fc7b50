"""The way of a job through a worker, from the engine to its result: settled in groups."""

import logging
import queue
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from penstock_shared.ledger import claiming, settling
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Account, Settlement
from penstock_shared.tier_settings import TierSettings
from penstock_shared.words import JobState
from penstock_workers import outcomes
from penstock_workers.cache.cache import Cache, Lookup
from penstock_workers.engine.protocol import Completion, Ending, Engine
from penstock_workers.flights import Flights, Passenger
from penstock_workers.held import Held
from penstock_workers.intake import Intake
from penstock_workers.patience import Patience
from penstock_workers.rendering import Renderer
from penstock_workers.structured import mismatch
from penstock_workers.trials import Trials
from penstock_workers.unfinished import Unfinished

log = logging.getLogger(__name__)
_GROUP: Final = 256
_MANY_FLIGHTS: Final = 16
_COMPANY_S: Final = 0.03  # a commit costs about the same for one job as for many


class _Stop(NamedTuple):
    pass


class Settlements:
    """Collects what ended and settles all of it that is there in one commit, then acks.

    ``settled`` counts jobs: a worker with finished jobs and a count that stands still is stuck.
    """

    def __init__(
        self,
        *,
        database: Database,
        account: Account,
        tier: TierSettings,
        intake: Intake,
        cache: Cache,
        renderer: Renderer,
        flights: Flights,
        held: Held,
        unfinished: Unfinished,
        trials: Trials,
        engine: Engine,
        patience: Patience,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._account = account
        self._tier = tier
        self._intake = intake
        self._cache = cache
        self._renderer = renderer
        self._flights = flights
        self._held = held
        self._unfinished = unfinished
        self._trials = trials
        self._engine = engine
        self._patience = patience
        self._now_ms = now_ms
        self.settled = 0
        self._ended: queue.SimpleQueue[Settlement | Completion | _Stop] = queue.SimpleQueue()

    def add_completions(self, completions: Sequence[Completion]) -> None:
        """Take what the engine finished."""
        for completion in completions:
            self._ended.put(completion)

    def add_hits(self, lookups: Sequence[Lookup]) -> None:
        """Take what the cache answered; it costs nothing."""
        for lookup in lookups:
            if lookup.hit is not None:
                queue_ms = self._now_ms() - lookup.claim.created_ms
                answer = outcomes.cached_answer(self._tier, lookup.hit, queue_ms=queue_ms)
                self._cache.served(lookup.hit.entry.entry_id)
                self._ended.put(Settlement(lookup.claim, JobState.SUCCEEDED, 0, answer))

    def add_ended(self, settlements: Sequence[Settlement]) -> None:
        """Take jobs that ended beside the engine."""
        for settlement in settlements:
            self._ended.put(settlement)

    def add_failure(self, lookup: Lookup, error: str) -> None:
        """Take a job that can never be served."""
        self._ended.put(Settlement(lookup.claim, JobState.FAILED, 0, error=error))

    def withdraw(self, passenger: Passenger) -> None:
        """Take a job that left a flight on which others fly on; they pay for it."""
        self._ended.put(outcomes.withdrawn(passenger, 0))

    def stop(self) -> None:
        """Let ``run`` return after all that was added so far."""
        self._ended.put(_Stop())

    def run(self) -> None:
        """Settle group after group."""
        while group := self._next_group():
            settlements = [s for ended in group for s in self._settlements_of(ended)]
            try:
                self._settle(settlements)
            except Exception:
                log.exception("a group of %d cannot be settled; one by one", len(settlements))
                self._settle_singly(settlements)

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        """One commit for the group; then each deliverer hears, which acks its message."""
        if not settlements:
            return
        settled = self._patience.call(lambda: self._write(settlements))
        self._held.drop([s.claim for s in settlements])
        refused = [s.claim.job_id for s in settlements if s.claim.job_id not in settled]
        if refused:
            log.warning("%d late settlements refused, booked as waste: %s", len(refused), refused)
        states = self._patience.call(lambda: claiming.states(self._database, refused))
        for settlement in settlements:
            job_id = settlement.claim.job_id
            state = states.get(job_id, settlement.state)
            if state is JobState.QUEUED:  # it was taken from us, and nobody has it
                self._intake.send_back(job_id)
            else:
                self._intake.resolve(job_id, state)
        self.settled += len(settled)

    def _write(self, settlements: Sequence[Settlement]) -> set[str]:
        return settling.settle(
            self._database,
            self._account,
            settlements,
            self._now_ms(),
            spent=self._engine.pulse().spent,
        )

    def _settle_singly(self, settlements: Sequence[Settlement]) -> None:
        """One bad item must not fail its group: alone it loses an attempt."""
        for settlement in settlements:
            try:
                self._settle([settlement])
            except Exception as error:
                log.exception("job %s cannot be settled", settlement.claim.job_id)
                reason = f"its answer cannot be settled ({type(error).__name__})"
                self._unfinished.lose([settlement.claim], reason, together=False)
                self._engine.write_off(settlement.cost_pusd)

    def _next_group(self) -> list[Completion | Settlement]:
        """What has ended by now; while the engine is busy, waiting a little for company."""
        group: list[Completion | Settlement] = []
        item = self._ended.get()
        end = time.monotonic() + (_COMPANY_S if len(self._flights) > _MANY_FLIGHTS else 0.0)
        while not isinstance(item, _Stop):
            group.append(item)
            if len(group) == _GROUP:
                return group
            try:
                item = self._ended.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return group
        if group:
            self._ended.put(item)
        return group

    def _settlements_of(self, ended: Completion | Settlement) -> list[Settlement]:
        if isinstance(ended, Settlement):
            return [ended]
        if self._trials.ended(ended):
            return []
        passengers = self._flights.land(ended.request_id)
        if passengers and ended.ending.is_answer:
            try:
                return self._answered(ended, passengers)
            except Exception as error:  # one bad answer must not end this thread
                log.exception("the answer of %s cannot be made", ended.request_id)
                reason = f"the answer could not be made ({type(error).__name__})"
                return outcomes.failed(passengers, reason, ended.cost_pusd)
        if passengers and ended.ending is Ending.ERROR:
            return outcomes.failed(passengers, ended.error, ended.cost_pusd)
        return self._aborted(ended, passengers)

    def _answered(
        self, completion: Completion, passengers: Sequence[Passenger]
    ) -> list[Settlement]:
        """The first passenger pays for the completion and stores it; the others join for free."""
        first, *others = passengers
        claim = first.lookup.claim
        text = outcomes.text_of(completion, claim.request, self._renderer)
        is_cut_off = completion.ending is Ending.LENGTH
        if why := mismatch(text, claim.request.response_format, is_cut_off=is_cut_off):
            return outcomes.failed(passengers, why, completion.cost_pusd)
        in_engine_ms = (time.monotonic_ns() - completion.scheduled_ns) // 1_000_000
        answer = outcomes.engine_answer(
            self._tier,
            completion,
            text,
            prompt_tokens=first.prompt_tokens,
            queue_ms=self._now_ms() - in_engine_ms - claim.created_ms,
            near_miss=first.lookup.near_miss,
        )
        is_whole = completion.ending is Ending.STOP
        entry = self._cache.new_entry(first.lookup, model=self._tier.model) if is_whole else None
        self._trials.held_back(first.lookup, text)
        cost = completion.cost_pusd
        paid = Settlement(claim, JobState.SUCCEEDED, cost, answer, entry=entry)
        return [paid, *outcomes.joined(others, paid)]

    def _aborted(self, completion: Completion, passengers: Sequence[Passenger]) -> list[Settlement]:
        """An aborted completion is never an answer: its jobs end as decided, or go back."""
        decided = [p for p in passengers if p.verdict is not None]
        others = [p.lookup.claim for p in passengers if p.verdict is None]
        cost = completion.cost_pusd
        if not passengers:  # its jobs have left it
            self._engine.write_off(cost)
        self._unfinished.give_back(others, 0 if decided else cost)
        return [outcomes.withdrawn(p, 0 if n else cost) for n, p in enumerate(decided)]
