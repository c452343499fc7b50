"""Trials of the cache: its answer beside the engine's, and whether they say the same."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from penstock_shared.ledger.database import Database, storable
from penstock_shared.ledger.schema import CacheTrial

_CHUNK: Final = 500


class Trial(NamedTuple):
    """One comparison; ``served``: the caller had the cached answer, the engine's is for us."""

    job_id: str
    tier: str
    tenant: str
    partition: str
    band: str
    entry_id: int
    similarity: float
    reason: str
    agreed: bool
    served: bool
    cost_pusd: int


class Counted(NamedTuple):
    """What is learned from a trial."""

    trial_id: int
    partition: str
    band: str
    agreed: bool


def record(database: Database, trials: Sequence[Trial], now_ms: int) -> None:
    """Write trials down in one commit.

    A job has one trial: what was written before, because the connection broke after the commit,
    is not written again. What they cost is waste of the worker, which books it by itself.
    """
    if not trials:
        return
    rows = [
        {**t._asdict(), "reason": storable(t.reason), "created_ms": now_ms}
        for t in sorted(trials, key=lambda trial: trial.job_id)
    ]
    insert = (sqlite_insert if database.is_sqlite else postgresql_insert)(CacheTrial)
    with database.write() as connection:
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            connection.execute(insert.values(chunk).on_conflict_do_nothing())


def after(database: Database, trial_id: int, *, tier: str, limit: int) -> list[Counted]:
    """Trials of a tier with a larger id, in their order."""
    query = (
        select(CacheTrial.id, CacheTrial.partition, CacheTrial.band, CacheTrial.agreed)
        .where(CacheTrial.tier == tier, CacheTrial.id > trial_id)
        .order_by(CacheTrial.id)
        .limit(limit)
    )
    with database.read() as connection:
        return [Counted(*row) for row in connection.execute(query)]
