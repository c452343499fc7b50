"""Lookup and store: exact by key, semantic by vector and verifier, one pass for a batch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock_shared.ledger import cache_entries
from penstock_shared.ledger.cache_entries import Entry
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import NewEntry
from penstock_shared.request import Request
from penstock_shared.settings import CacheSettings
from penstock_shared.words import Source
from penstock_workers.cache.key import CacheKey, key_of
from penstock_workers.cache.vectors import VectorIndex
from penstock_workers.cache.verifier import verify
from penstock_workers.encoder import Encoder

_CANDIDATES: Final = 4
_PAGE: Final = 5_000
_OVERLAP: Final = 1_000  # ids that may become visible after larger ones


class Hit(NamedTuple):
    """An entry that answers the question, and why we think so."""

    entry: Entry
    source: Source
    reason: str


class Lookup(NamedTuple):
    """What the cache knows about one claimed job."""

    claim: Claim
    key: CacheKey
    hit: Hit | None
    vector: bytes | None  # kept for storing the answer


class Cache:
    """The cache of one tier. ``lookup`` belongs to one thread, ``refresh`` to any."""

    def __init__(
        self,
        database: Database,
        settings: CacheSettings,
        *,
        tier: str,
        identity: Mapping[str, Any],
        encoder: Encoder | None,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._settings = settings
        self._tier = tier
        self._identity = dict(identity)
        self._encoder = encoder
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._last_entry = 0
        self._index = VectorIndex(encoder.dimension, settings.capacity) if encoder else None

    def lookup(self, claims: Sequence[Claim]) -> list[Lookup]:
        """Look a batch up: one query for exact hits, one embedding pass for all the others."""
        keys = [key_of(claim.request, self._identity) for claim in claims]
        wanted = [self._is_open_to(claim.request) for claim in claims]
        exact = self._exact([key.key for key, want in zip(keys, wanted, strict=True) if want])
        rest = [
            index
            for index, key in enumerate(keys)
            if wanted[index] and key.key not in exact and self._is_comparable(key)
        ]
        vectors = self._encode([keys[index].question for index in rest])
        semantic = self._semantic([keys[index] for index in rest], vectors)
        hits = {index: hit for index, hit in zip(rest, semantic, strict=True) if hit}
        rows = {index: row for row, index in enumerate(rest)}
        return [
            Lookup(
                claim,
                key,
                (exact.get(key.key) if wanted[index] else None) or hits.get(index),
                vectors[rows[index]].tobytes() if index in rows else None,
            )
            for index, (claim, key) in enumerate(zip(claims, keys, strict=True))
        ]

    def new_entry(self, lookup: Lookup) -> NewEntry | None:
        """The entry under which an answer is to be stored; None when it must not be."""
        request = lookup.claim.request
        if not self._is_open_to(request):
            return None
        return NewEntry(
            key=lookup.key.key,
            partition=lookup.key.partition,
            question=lookup.key.question,
            encoder=self._encoder.name if self._encoder and lookup.vector else None,
            vector=lookup.vector,
            expires_ms=self._now_ms() + self._settings.ttl_s * 1000,
        )

    def refresh(self) -> None:
        """Take up the vectors of entries that any worker of this tier has stored."""
        if self._index is None or self._encoder is None:
            return
        after = max(0, self._last_entry - _OVERLAP)
        while page := cache_entries.vectors_after(
            self._database, after, tier=self._tier, encoder=self._encoder.name, limit=_PAGE
        ):
            with self._lock:
                for entry_id, partition, vector in page:
                    if entry_id not in self._index:
                        self._index.add(entry_id, partition, np.frombuffer(vector, np.float32))
            after = self._last_entry = page[-1].entry_id
            if len(page) < _PAGE:
                return

    def _is_open_to(self, request: Request) -> bool:
        return self._settings.enabled and request.cache and request.sampling.is_repeatable

    def _is_comparable(self, key: CacheKey) -> bool:
        return self._index is not None and len(key.question) <= self._settings.max_question_chars

    def _exact(self, keys: Sequence[str]) -> dict[str, Hit]:
        if not keys:
            return {}
        found = cache_entries.by_key(self._database, keys, self._now_ms())
        return {key: Hit(entry, Source.EXACT, "the same prompt") for key, entry in found.items()}

    def _encode(self, questions: Sequence[str]) -> NDArray[np.float32]:
        if not questions or self._encoder is None:
            return np.zeros((0, 0), dtype=np.float32)
        return self._encoder.encode(questions)

    def _semantic(self, keys: Sequence[CacheKey], vectors: NDArray[np.float32]) -> list[Hit | None]:
        if self._index is None or not keys:
            return [None] * len(keys)
        with self._lock:
            nominated = self._index.nearest(
                vectors,
                [key.partition for key in keys],
                threshold=self._settings.threshold,
                most=_CANDIDATES,
            )
        ids = sorted({neighbour.entry_id for group in nominated for neighbour in group})
        entries = cache_entries.by_id(self._database, ids, self._now_ms()) if ids else {}
        hits: list[Hit | None] = []
        for key, group in zip(keys, nominated, strict=True):
            ranked = [(entries[n.entry_id], n.similarity) for n in group if n.entry_id in entries]
            hits.append(_first_verified(key, ranked))
        return hits


def _first_verified(key: CacheKey, ranked: Sequence[tuple[Entry, float]]) -> Hit | None:
    for entry, similarity in ranked:
        verdict = verify(key.question, entry.question)
        if verdict.same:
            return Hit(entry, Source.SEMANTIC, f"{verdict.reason} (cosine {similarity:.3f})")
    return None
