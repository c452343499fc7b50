"""Trials: what the cache would say beside what the engine says; their sum is the cache's trust.

A hit that was held back is tested for free, because its job goes to the engine anyway. Of the hits
that were served a small random share is answered by the engine as well, off the caller's path;
what that costs is waste.
"""

import logging
import queue
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Final, NamedTuple

from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger import cache_trials
from penstock_shared.ledger.cache_trials import Trial
from penstock_shared.ledger.database import Database
from penstock_shared.words import Source
from penstock_workers.boarding import engine_request
from penstock_workers.cache.cache import Cache, Lookup
from penstock_workers.cache.comparison import agree
from penstock_workers.engine.protocol import Completion, Engine
from penstock_workers.outcomes import text_of
from penstock_workers.patience import Patience
from penstock_workers.rendering import Renderer
from penstock_workers.shadows import Doubt, Shadows

log = logging.getLogger(__name__)
SHADOW: Final = "trial-"
_GROUP: Final = 64
_EARLY: Final = 50  # so many comparisons of a band on a tier come sooner than the rest
_EARLY_TIMES: Final = 25


class _Evidence(NamedTuple):
    """An answer of the engine to what the cache answered too."""

    doubt: Doubt
    text: str
    cost_pusd: int


class _Stop(NamedTuple):
    pass


class Trials:
    """Decides what is tested, and compares; ``run`` is a thread of its own, because it encodes."""

    def __init__(
        self,
        *,
        database: Database,
        tier: str,
        cache: Cache,
        renderer: Renderer,
        shadows: Shadows,
        engine: Engine,
        patience: Patience,
        explore_share: float,
        answer_similarity: float,
        now_ms: Callable[[], int],
        random: Random | None = None,
    ) -> None:
        self.shadows = shadows
        self._database = database
        self._tier = tier
        self._cache = cache
        self._renderer = renderer
        self._engine = engine
        self._patience = patience
        self._explore_share = explore_share
        self._answer_similarity = answer_similarity
        self._now_ms = now_ms
        self._random = random or Random()
        self._found: queue.SimpleQueue[_Evidence | _Stop] = queue.SimpleQueue()

    def explore(self, hits: Sequence[Lookup]) -> None:
        """Choose of the hits that are served those that the engine answers as well."""
        try:
            for lookup in hits:
                if self._is_chosen(lookup):
                    self._add_shadow(lookup)
            self.shadows.board()
        except Exception as error:  # noqa: BLE001 - whatever it is, no job may suffer from it
            log.warning("hits cannot be put to the test (%s)", type(error).__name__)

    def held_back(self, lookup: Lookup, text: str) -> None:
        """Take the engine's answer to a job whose hit was held back, if it was."""
        if lookup.held_back is not None and _is_repeatable(lookup):
            doubt = Doubt(lookup, lookup.held_back, served=False)
            self._found.put(_Evidence(doubt, text, 0))

    def ended(self, completion: Completion) -> bool:
        """Take what the engine made of a shadow; False: it is of a job."""
        doubt = self.shadows.land(completion.request_id)
        if doubt is None:
            return False
        text: str | None = None
        if completion.ending.is_answer:
            try:
                text = text_of(completion, doubt.lookup.claim.request, self._renderer)
            except Exception as error:  # noqa: BLE001 - one bad answer must not end the caller
                log.warning("a trial has no text (%s)", type(error).__name__)
        self._engine.write_off(completion.cost_pusd)
        if text is not None:
            self._found.put(_Evidence(doubt, text, completion.cost_pusd))
        return True

    def stop(self) -> None:
        """Let ``run`` return after all that was found so far."""
        self._found.put(_Stop())

    def run(self) -> None:
        """Compare and write down, group after group."""
        while group := self._next_group():
            compared = [self._compare(evidence) for evidence in group]
            trials = [trial for trial in compared if trial is not None]
            try:
                self._patience.call(partial(self._write, trials))
            except Exception:
                log.exception("%d trials cannot be written", len(trials))

    def _is_chosen(self, lookup: Lookup) -> bool:
        hit = lookup.hit
        if hit is None or hit.source is not Source.SEMANTIC or not _is_repeatable(lookup):
            return False
        known = self._cache.compared(hit.band or "")
        share = self._explore_share * (_EARLY_TIMES if known < _EARLY else 1)
        return self._random.random() < share

    def _add_shadow(self, lookup: Lookup) -> None:
        claim, hit = lookup.claim, lookup.hit
        if hit is None or not self.shadows.wants_more:
            return
        try:
            request = engine_request(
                f"{SHADOW}{claim.job_id}",
                claim.request,
                self._renderer,
                max_model_len=self._engine.limits.max_model_len,
            )
        except InvalidRequest:  # the entry's own prompt was shorter
            return
        self.shadows.add(request, Doubt(lookup, hit, served=True))

    def _next_group(self) -> list[_Evidence]:
        """All that is there, at least one; none when it is over."""
        item = self._found.get()
        group: list[_Evidence] = []
        while not isinstance(item, _Stop):
            group.append(item)
            if len(group) == _GROUP:
                return group
            try:
                item = self._found.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._found.put(item)
        return group

    def _compare(self, evidence: _Evidence) -> Trial | None:
        (lookup, hit, served), text, cost_pusd = evidence
        if hit.band is None:
            return None
        try:
            agreed = agree(
                hit.entry.text,
                text,
                likeness=self._cache.likeness,
                least=self._answer_similarity,
            )
        except Exception as error:  # noqa: BLE001 - an encoder raises what it likes
            log.warning("answers cannot be compared (%s)", type(error).__name__)
            return None
        return Trial(
            job_id=lookup.claim.job_id,
            tier=self._tier,
            tenant=lookup.claim.request.tenant,
            partition=lookup.key.partition,
            band=hit.band,
            entry_id=hit.entry.entry_id,
            similarity=hit.similarity,
            reason=hit.reason,
            agreed=agreed,
            served=served,
            cost_pusd=cost_pusd,
        )

    def _write(self, trials: Sequence[Trial]) -> None:
        cache_trials.record(self._database, trials, self._now_ms())


def _is_repeatable(lookup: Lookup) -> bool:
    """Only then would the engine say the same again, and another answer mean something."""
    return lookup.claim.request.sampling.is_repeatable
