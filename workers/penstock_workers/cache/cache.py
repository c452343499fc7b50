"""Lookup and store: exact by key, semantic by vector, verifier and trust, one pass for a batch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock_shared.cache_settings import CacheSettings
from penstock_shared.ledger import cache_entries
from penstock_shared.ledger.cache_entries import Entry
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import NewEntry
from penstock_shared.request import Request
from penstock_shared.words import RequestKind, Source
from penstock_workers.cache.following import Follower
from penstock_workers.cache.key import CacheKey, key_of
from penstock_workers.cache.trust import Trust, band_of
from penstock_workers.cache.vectors import IndexKind, VectorIndex
from penstock_workers.cache.verifier import verify
from penstock_workers.encoder import Encoder

_CANDIDATES: Final = 8
_INDEXES: Final[dict[str, IndexKind]] = {"exact": "exact", "approximate": "faiss"}
_NEAR: Final = 0.8  # cosine from which on a neighbour that was refused is worth a word


class Hit(NamedTuple):
    """An entry that answers the question, and why we think so."""

    entry: Entry
    source: Source
    reason: str
    similarity: float = 1.0  # cosine of the questions
    band: str | None = None  # of a semantic hit


class Lookup(NamedTuple):
    """What the cache knows about one claimed job."""

    claim: Claim
    key: CacheKey
    hit: Hit | None
    vector: bytes | None  # kept for storing the answer
    held_back: Hit | None = None  # would be a hit, but hits like it are not proven right yet
    near_miss: str | None = None  # which entry was near, and why it is no hit


class _Found(NamedTuple):
    hit: Hit | None = None
    held_back: Hit | None = None
    near_miss: str | None = None


class Cache:
    """The cache of one tier. ``lookup`` belongs to one thread, everything else to any."""

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
        self._identity = dict(identity)
        self._encoder = encoder
        self._now_ms = now_ms
        self._index_lock = threading.Lock()
        kind = _INDEXES[settings.index]
        self._index = VectorIndex(encoder.dimension, settings.capacity, kind) if encoder else None
        self._trust = Trust(
            max_false_hit_rate=settings.max_false_hit_rate,
            strict_threshold=settings.strict_threshold,
        )
        self._follower = Follower(
            database,
            tier=tier,
            capacity=settings.capacity,
            encoder=encoder.identity if encoder else None,
            index=self._index,
            lock=self._index_lock,
            trust=self._trust,
            now_ms=now_ms,
        )

    def lookup(self, claims: Sequence[Claim], *, by_meaning: bool = True) -> list[Lookup]:
        """Look a batch up: one query for exact hits, one embedding pass for all the others.

        Without ``by_meaning`` there are exact hits only, and what is stored of the others too.
        """
        keys = [key_of(claim.request, self._identity) for claim in claims]
        wanted = [self._is_open_to(claim.request) for claim in claims]
        exact = self._exact([key.key for key, want in zip(keys, wanted, strict=True) if want])
        rest = [
            index
            for index, key in enumerate(keys)
            if wanted[index]
            and by_meaning
            and key.key not in exact
            and self._is_comparable(claims[index].request, key)
        ]
        vectors = self._encode([keys[index].to_encode for index in rest])
        found = dict(
            zip(rest, self._semantic([keys[index] for index in rest], vectors), strict=True)
        )
        found.update({i: exact[k.key] for i, k in enumerate(keys) if wanted[i] and k.key in exact})
        rows = {index: vectors[row].tobytes() for row, index in enumerate(rest)}
        return [
            _lookup(claim, key, found.get(index, _Found()), rows.get(index))
            for index, (claim, key) in enumerate(zip(claims, keys, strict=True))
        ]

    def new_entry(self, lookup: Lookup, *, model: str) -> NewEntry | None:
        """The entry under which this model's answer is to be stored; None: it must not be."""
        request = lookup.claim.request
        if not self._is_open_to(request):
            return None
        return NewEntry(
            key=lookup.key.key,
            partition=lookup.key.partition,
            question=lookup.key.question,
            encoder=self._encoder.identity if self._encoder and lookup.vector else None,
            vector=lookup.vector,
            expires_ms=self._now_ms() + self._settings.ttl_s * 1000,
            model=model,
        )

    def compared(self, band: str) -> int:
        """How many answers of a band were compared on this tier."""
        return self._trust.of_tier(band).compared

    def served(self, entry_id: int) -> None:
        """Note that an entry answered a job, so that it is kept longer than others."""
        self._follower.note(entry_id)

    def refresh(self) -> None:
        """Take up what any worker of this tier has stored, compared, or deleted."""
        self._follower.refresh()

    def likeness(self, one: str, other: str) -> float | None:
        """Cosine of the meanings of two texts; None without an encoder."""
        if self._encoder is None:
            return None
        # one by one, so that a lookup waits for no more than one of them
        [first], [second] = self._encode([one]), self._encode([other])
        return float(first @ second)

    def _is_open_to(self, request: Request) -> bool:
        is_wanted = self._settings.enabled and request.cache
        is_sampled = request.tenant in self._settings.sampled_tenants
        return is_wanted and (request.sampling.is_repeatable or is_sampled)

    def _is_comparable(self, request: Request, key: CacheKey) -> bool:
        # A text to be continued is no question: another one that means the same goes on otherwise.
        is_question = request.kind is RequestKind.CHAT
        is_short = len(key.question) <= self._settings.max_question_chars
        return self._index is not None and is_question and is_short

    def _exact(self, keys: Sequence[str]) -> dict[str, _Found]:
        if not keys:
            return {}
        entries = cache_entries.by_key(self._database, keys, self._now_ms())
        return {
            key: _Found(Hit(entry, Source.EXACT, "the same prompt"))
            for key, entry in entries.items()
        }

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1."""
        if not texts or self._encoder is None:
            return np.zeros((0, 0), dtype=np.float32)
        return self._encoder.encode(texts)

    def _semantic(self, keys: Sequence[CacheKey], vectors: NDArray[np.float32]) -> list[_Found]:
        if self._index is None or not keys:
            return [_Found()] * len(keys)
        with self._index_lock:
            nominated = self._index.nearest(
                vectors,
                [key.partition for key in keys],
                threshold=self._settings.threshold,
                most=_CANDIDATES,
            )
        ids = sorted({neighbour.entry_id for group in nominated for neighbour in group})
        entries = cache_entries.by_id(self._database, ids, self._now_ms()) if ids else {}
        return [
            self._judge(
                key, [(entries[n.entry_id], n.similarity) for n in group if n.entry_id in entries]
            )
            for key, group in zip(keys, nominated, strict=True)
        ]

    def _judge(self, key: CacheKey, ranked: Sequence[tuple[Entry, float]]) -> _Found:
        """The first neighbour that asks the same and may be served, or why there is none."""
        held_back: Hit | None = None
        near_miss: str | None = None
        for entry, similarity in ranked:
            verdict = verify(key.question, entry.question)
            band = band_of(similarity, proof=verdict.proof)
            where = f"entry {entry.entry_id} (cosine {similarity:.2f})"
            if not verdict.same:
                if similarity >= _NEAR:
                    near_miss = near_miss or f"{where}: {verdict.reason}"
                continue
            reason = f"{verdict.reason} (cosine {similarity:.3f})"
            hit = Hit(entry, Source.SEMANTIC, reason, similarity, band)
            if self._trust.is_open(key.partition, band):
                return _Found(hit)
            held_back = held_back or hit
            doubt = self._trust.doubt(key.partition, band)
            near_miss = near_miss or f"{where}: held back: {doubt}"
        return _Found(None, held_back, near_miss)


def _lookup(claim: Claim, key: CacheKey, found: _Found, vector: bytes | None) -> Lookup:
    return Lookup(claim, key, found.hit, vector, found.held_back, found.near_miss)
