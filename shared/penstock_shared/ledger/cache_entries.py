"""The cache's entries: read, counted as used, and deleted.

Whoever locks more than one entry locks them in the order of their keys, as settlement does.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    delete,
    func,
    select,
    update,
)

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheEntry

_CHUNK: Final = 500
_PAUSE_S: Final = 0.02  # workers that wait to write get their turn


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
    charge_pusd: int  # what it cost when it was made


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
        .where(*_made_by(tier, encoder), CacheEntry.id > entry_id)
        .where(CacheEntry.vector.is_not(None))
        .order_by(CacheEntry.id)
        .limit(limit)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    return [EntryVector(row.id, row.partition, row.vector or b"") for row in rows]


def vector_count(database: Database, *, tier: str, encoder: str) -> int:
    """How many vectors of this encoder a tier has; from the index alone."""
    with database.read() as connection:
        query = select(func.count()).select_from(CacheEntry).where(*_made_by(tier, encoder))
        return connection.scalar(query) or 0


def vector_ids(database: Database, *, tier: str, encoder: str) -> set[int]:
    """The entries of a tier that have a vector of this encoder; from the index alone."""
    with database.read() as connection:
        return set(connection.scalars(select(CacheEntry.id).where(*_made_by(tier, encoder))))


def touch(database: Database, hits: Mapping[int, int], now_ms: int) -> None:
    """Count entries as served so many times more, the last time now."""
    if not hits:
        return
    statement = (
        update(CacheEntry)
        .where(CacheEntry.id == bindparam("entry"))
        .values(
            hits=CacheEntry.hits + bindparam("more"),
            used_ms=case((CacheEntry.used_ms < now_ms, now_ms), else_=CacheEntry.used_ms),
        )
    )
    for some in _chunks(sorted(hits)):
        with database.write() as connection:
            more = [{"entry": i, "more": hits[i]} for i in _locked(connection, some)]
            if more:
                connection.execute(statement, more, execution_options={"synchronize_session": None})


def trim(database: Database, *, tier: str, capacity: int, now_ms: int, limit: int) -> int:
    """Delete what has expired, of all tiers, then what a tier has beyond its capacity.

    The least recently used go first. Returns how many were deleted, at most ``limit``.
    """
    expired = (
        select(CacheEntry.id)
        .where(CacheEntry.expires_ms <= now_ms)
        .order_by(CacheEntry.expires_ms)
        .limit(limit)
    )
    gone = _delete_all(database, _ids(database, expired))
    with database.read() as connection:
        count = select(func.count()).select_from(CacheEntry).where(CacheEntry.tier == tier)
        surplus = (connection.scalar(count) or 0) - capacity
    if surplus <= 0 or gone >= limit:
        return gone
    unused = (
        select(CacheEntry.id)
        .where(CacheEntry.tier == tier)
        .order_by(CacheEntry.used_ms)
        .limit(min(surplus, limit - gone))
    )
    return gone + _delete_all(database, _ids(database, unused))


class Choice(NamedTuple):
    """Entries to which everything that is given applies; ``older_than_ms`` is a moment."""

    tenant: str | None = None
    tier: str | None = None
    model: str | None = None
    older_than_ms: int | None = None  # stored before it
    entry_ids: Sequence[int] | None = None


def chosen(database: Database, choice: Choice) -> list[int]:
    """The ids of these entries."""
    query = _where(select(CacheEntry.id).order_by(CacheEntry.id), choice)
    if choice.entry_ids is None:
        return _ids(database, query)
    parts = _chunks(sorted(set(choice.entry_ids)))
    return [i for some in parts for i in _ids(database, query.where(CacheEntry.id.in_(some)))]


def drop(
    database: Database,
    *,
    tenant: str | None = None,
    tier: str | None = None,
    model: str | None = None,
    older_than_ms: int | None = None,
    entry_ids: Sequence[int] | None = None,
) -> int:
    """Delete the entries of a choice; returns how many.

    A few go with each commit, so that workers go on meanwhile.
    """
    choice = Choice(tenant, tier, model, older_than_ms, entry_ids)
    return _delete_all(database, chosen(database, choice))


class Listed(NamedTuple):
    """What a list shows of an entry."""

    entry_id: int
    tier: str
    tenant: str
    model: str
    created_ms: int
    used_ms: int
    expires_ms: int
    hits: int
    prompt_tokens: int
    completion_tokens: int
    charge_pusd: int
    question: str


def listed(
    database: Database, *, tenant: str | None = None, tier: str | None = None, limit: int = 100
) -> list[Listed]:
    """The entries that were used last, the last one first."""
    columns = (getattr(CacheEntry, "id" if f == "entry_id" else f) for f in Listed._fields)
    last = _where(select(CacheEntry.id), Choice(tenant, tier))
    last = last.order_by(CacheEntry.used_ms.desc()).limit(limit)
    query = select(*columns).where(CacheEntry.id.in_(last))
    query = query.order_by(CacheEntry.used_ms.desc(), CacheEntry.id.desc())
    with database.read() as connection:
        return [Listed(*row) for row in connection.execute(query)]


def _where(query: Select[Any], choice: Choice) -> Select[Any]:
    for column, wanted in (
        (CacheEntry.tenant, choice.tenant),
        (CacheEntry.tier, choice.tier),
        (CacheEntry.model, choice.model),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if choice.older_than_ms is not None:
        query = query.where(CacheEntry.created_ms < choice.older_than_ms)
    return query


def _made_by(tier: str, encoder: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    # An entry has an encoder if and only if it has a vector.
    return CacheEntry.tier == tier, CacheEntry.encoder == encoder


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
        CacheEntry.charge_pusd,
    ).where(where, CacheEntry.expires_ms > now_ms)
    with database.read() as connection:
        rows: Sequence[Any] = connection.execute(query).all()
    return [Entry(*row) for row in rows]


def _ids(database: Database, query: Select[Any]) -> list[int]:
    with database.read() as connection:
        return list(connection.scalars(query))


def _chunks(entry_ids: Sequence[int]) -> list[Sequence[int]]:
    return [entry_ids[i : i + _CHUNK] for i in range(0, len(entry_ids), _CHUNK)]


def _delete_all(database: Database, entry_ids: Sequence[int]) -> int:
    gone = 0
    for number, some in enumerate(_chunks(entry_ids)):
        if number:
            time.sleep(_PAUSE_S)
        with database.write() as connection:
            theirs = CacheEntry.id.in_(_locked(connection, some))
            gone += connection.execute(delete(CacheEntry).where(theirs)).rowcount
    return gone


def _locked(connection: Connection, entry_ids: Sequence[int]) -> list[int]:
    """Those of the entries that still are there, and nobody else may change them now."""
    query = select(CacheEntry.id).where(CacheEntry.id.in_(entry_ids)).order_by(CacheEntry.key)
    return list(connection.scalars(query.with_for_update()))
