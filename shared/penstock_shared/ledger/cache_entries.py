"""Reading the cache's entries."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheEntry


class Entry(NamedTuple):
    """One cached answer."""

    entry_id: int
    key: str
    partition: str
    question: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class EntryVector(NamedTuple):
    """The vector of an entry, as it is stored: float32, little endian."""

    entry_id: int
    partition: str
    vector: bytes


def by_key(database: Database, keys: Sequence[str], now_ms: int) -> dict[str, Entry]:
    """Entries that are alive, by their keys."""
    return {e.key: e for e in _entries(database, CacheEntry.key.in_(keys), now_ms)}


def by_id(database: Database, entry_ids: Sequence[int], now_ms: int) -> dict[int, Entry]:
    """Entries that are alive, by their ids."""
    return {e.entry_id: e for e in _entries(database, CacheEntry.id.in_(entry_ids), now_ms)}


def vectors_after(
    database: Database, entry_id: int, *, tier: str, encoder: str, limit: int
) -> list[EntryVector]:
    """Vectors that this encoder made for a tier, of entries with a larger id, in their order."""
    query = (
        select(CacheEntry.id, CacheEntry.partition, CacheEntry.vector)
        .where(CacheEntry.tier == tier, CacheEntry.id > entry_id)
        .where(CacheEntry.encoder == encoder, CacheEntry.vector.is_not(None))
        .order_by(CacheEntry.id)
        .limit(limit)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    return [EntryVector(row.id, row.partition, row.vector or b"") for row in rows]


def _entries(database: Database, where: ColumnElement[bool], now_ms: int) -> list[Entry]:
    query = select(
        CacheEntry.id,
        CacheEntry.key,
        CacheEntry.partition,
        CacheEntry.question,
        CacheEntry.text,
        CacheEntry.finish_reason,
        CacheEntry.prompt_tokens,
        CacheEntry.completion_tokens,
    ).where(where, CacheEntry.expires_ms > now_ms)
    with database.read() as connection:
        rows: Sequence[Any] = connection.execute(query).all()
    return [Entry(*row) for row in rows]
