"""Following: what a worker's memory of the cache takes over from the ledger, and gives to it."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import numpy as np

from penstock_shared.ledger import cache_entries, cache_trials
from penstock_shared.ledger.database import Database
from penstock_workers.cache.trust import Trust
from penstock_workers.cache.vectors import VectorIndex

_PAGE: Final = 5_000
_OVERLAP: Final = 1_000  # ids that may become visible after larger ones
_MANY: Final = 10_000  # from here on, comparing all ids costs so much that it is done rarely
_RARELY_S: Final = 10.0


class Follower:
    """Follows the entries and trials of one tier; ``note`` may be called by any thread.

    Without ``index`` and ``encoder`` there are no vectors to follow, and nothing to trust.
    """

    def __init__(
        self,
        database: Database,
        *,
        tier: str,
        capacity: int,
        encoder: str | None,
        index: VectorIndex | None,
        lock: threading.Lock,
        trust: Trust,
        now_ms: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._tier = tier
        self._capacity = capacity
        self._encoder = encoder
        self._index = index
        self._lock = lock
        self._trust = trust
        self._now_ms = now_ms
        self._clock = clock
        self._last_entry = 0
        self._compare_at = 0.0
        self._last_trial = 0
        self._recent_trials: set[int] = set()
        self._noting = threading.Lock()
        self._used: Counter[int] = Counter()

    def note(self, entry_id: int) -> None:
        """Remember that an entry was served; the ledger hears of it with the next refresh."""
        with self._noting:
            self._used[entry_id] += 1

    def refresh(self) -> None:
        """Take up new vectors and trials, leave those of deleted entries, say what was used."""
        if self._index is not None and self._encoder is not None:
            self._take_up(self._index, self._encoder, self._last_entry)
            self._compare(self._index, self._encoder)
            self._learn()
        self._touch()

    def _take_up(self, index: VectorIndex, encoder: str, after: int) -> None:
        """Add vectors of entries with a larger id that are not in the index yet."""
        while page := cache_entries.vectors_after(
            self._database, after, tier=self._tier, encoder=encoder, limit=_PAGE
        ):
            with self._lock:
                for entry_id, partition, vector in page:
                    if entry_id not in index:
                        index.add(entry_id, partition, np.frombuffer(vector, np.float32))
            after = page[-1].entry_id
            self._last_entry = max(self._last_entry, after)
            if len(page) < _PAGE:
                return

    def _compare(self, index: VectorIndex, encoder: str) -> None:
        """When the index has not what the ledger has: find what is gone, and what came late."""
        count = cache_entries.vector_count(self._database, tier=self._tier, encoder=encoder)
        if count == len(index) < self._capacity or self._clock() < self._compare_at:
            return
        there = cache_entries.vector_ids(self._database, tier=self._tier, encoder=encoder)
        with self._lock:
            here = set(index.ids())
            index.discard(here - there)
        late = {i for i in there - here if i > self._last_entry - _OVERLAP}
        if late:
            self._take_up(index, encoder, min(late) - 1)
        if count >= _MANY:
            self._compare_at = self._clock() + _RARELY_S

    def _learn(self) -> None:
        """Take up comparisons, each once."""
        after = max(0, self._last_trial - _OVERLAP)
        while page := cache_trials.after(self._database, after, tier=self._tier, limit=_PAGE):
            self._trust.learn(trial for trial in page if trial.trial_id not in self._recent_trials)
            self._recent_trials.update(trial.trial_id for trial in page)
            after = page[-1].trial_id
            self._last_trial = max(self._last_trial, after)
            if len(page) < _PAGE:
                break
        oldest = self._last_trial - _OVERLAP
        self._recent_trials = {i for i in self._recent_trials if i > oldest}

    def _touch(self) -> None:
        """Tell the ledger what was served. What it does not hear is forgotten."""
        with self._noting:
            used, self._used = self._used, Counter()
        cache_entries.touch(self._database, used, self._now_ms())
