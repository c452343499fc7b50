"""The backlog: lines of batches wait in the ledger, and workers with room claim them there.

No message stands for such a line, so that neither a broker grows with a file nor a queue is ever
in front of those who wait for an answer. A line that was lost with its worker comes back by
message, like any other job.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, exists, func, select, update

from penstock_shared import money
from penstock_shared.ledger import claiming
from penstock_shared.ledger.claiming import Claimed, Hold
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Batch, Job, is_in
from penstock_shared.words import BatchState, JobState

_HOPS: Final = 16  # over groups of lines whose first one still runs
_FIRST: Final = 8  # lines of which the price is learned, when money is limited
_WAITS: Final = (is_in(JobState.QUEUED), Job.backlog_rank.is_not(None))


class _Purse(NamedTuple):
    id: str
    max_cost_pusd: int | None
    spent_pusd: int
    succeeded: int


def claim(
    database: Database, tier: str, *, worker_id: str, lease_ms: int, now_ms: int, limit: int
) -> Claimed:
    """Claim up to ``limit`` lines of a tier, of every running batch about as many.

    Lines with the same prefix come one after the other, and those after the first only when that
    one has ended: by then the engine has the prefix.
    """
    waiting = _running_with_lines(database, tier)
    claimed = Claimed([], [])
    if not waiting:
        return claimed
    turn = now_ms % len(waiting)
    hold = Hold(worker_id, now_ms + lease_ms, now_ms)
    with database.write() as connection:
        for number, purse in enumerate(_read(connection, waiting[turn:] + waiting[:turn])):
            left = limit - len(claimed.claims) - len(claimed.unreadable)
            share = -(-left // (len(waiting) - number))
            affordable = _affordable(connection, purse, share)
            if affordable > 0:
                ids = _next_lines(connection, purse.id, tier, affordable)
                if ids:
                    more = claiming.take(connection, ids, hold)
                    claimed.claims.extend(more.claims)
                    claimed.unreadable.extend(more.unreadable)
    return claimed


def _running_with_lines(database: Database, tier: str) -> list[str]:
    """Running batches in whose backlog something waits for this tier, the oldest first."""
    waits = exists().where(Job.batch_id == Batch.id, Job.tier == tier, *_WAITS)
    query = (
        select(Batch.id)
        .where(Batch.state == BatchState.RUNNING.value, waits)
        .order_by(Batch.created_ms)
    )
    with database.read() as connection:
        return list(connection.scalars(query))


def _read(connection: Connection, batch_ids: Sequence[str]) -> list[_Purse]:
    """Those of the batches that still run, in the order given."""
    columns = (Batch.id, Batch.max_cost_pusd, Batch.spent_pusd, Batch.succeeded)
    rows = connection.execute(
        select(*columns).where(Batch.id.in_(batch_ids), Batch.state == BatchState.RUNNING.value)
    )
    found = {row.id: _Purse(*row) for row in rows}
    return [found[batch_id] for batch_id in batch_ids if batch_id in found]


def _affordable(connection: Connection, purse: _Purse, wanted: int) -> int:
    """How many more lines the money is enough for, at the mean price of those that succeeded.

    When it is not enough for one more and none runs, the batch is paused.
    """
    if purse.max_cost_pusd is None:
        return wanted
    running = connection.scalar(
        select(func.count()).where(is_in(JobState.RUNNING), Job.batch_id == purse.id)
    )
    left_pusd = purse.max_cost_pusd - purse.spent_pusd
    mean_pusd = max(1, -(-purse.spent_pusd // max(1, purse.succeeded)))
    most = left_pusd // mean_pusd if purse.succeeded else _FIRST
    affordable = min(wanted, most - (running or 0)) if left_pusd > 0 else 0
    if affordable <= 0 and not running:
        limit = money.usd_text(money.to_usd(purse.max_cost_pusd))
        connection.execute(
            update(Batch)
            .where(Batch.id == purse.id)
            .values(
                state=BatchState.PAUSED.value,
                stopped_by=f"its max cost of {limit} USD is reached",
            )
        )
    return affordable


def _next_lines(connection: Connection, batch_id: str, tier: str, count: int) -> list[str]:
    """Ids of the next lines in the order of the backlog, without those whose prefix is cold."""
    found: list[str] = []
    after = -1
    for _ in range(_HOPS):
        rows = connection.execute(
            select(Job.id, Job.batch_line, Job.backlog_rank)
            .where(Job.batch_id == batch_id, Job.tier == tier, *_WAITS)
            .where(Job.backlog_rank > after)
            .order_by(Job.backlog_rank, Job.batch_line)
            .limit(count - len(found))
            .with_for_update(skip_locked=True)
        ).all()
        cold = _cold(connection, batch_id, rows)
        found += [row.id for row in rows if _is_first(row) or row.backlog_rank not in cold]
        if not rows or len(found) == count:
            break
        after = rows[-1].backlog_rank
    return found


def _is_first(row: Any) -> bool:
    return bool(row.batch_line == row.backlog_rank)


def _cold(connection: Connection, batch_id: str, rows: Sequence[Any]) -> Collection[int]:
    """Which groups' first lines have not ended."""
    followed = {row.backlog_rank for row in rows if not _is_first(row)}
    if not followed:
        return ()
    return set(
        connection.scalars(
            select(Job.batch_line)
            .where(Job.batch_id == batch_id, Job.batch_line.in_(followed))
            .where(Job.finished_ms.is_(None))
        )
    )
