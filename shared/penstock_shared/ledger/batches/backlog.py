"""The backlog: lines of batches wait in the ledger, and workers with room claim them there.

No message stands for such a line, so that neither a broker grows with a file nor a queue is ever
in front of those who wait for an answer. A line that was lost with its worker comes back by
message, like any other job.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, exists, func, select, update
from sqlalchemy.orm import aliased

from penstock_shared import money
from penstock_shared.ledger import claiming
from penstock_shared.ledger.claiming import Claimed, Hold
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Batch, Job, is_in
from penstock_shared.words import BatchState, JobState

_FIRST: Final = 8  # lines of which the price is learned, when money is limited
_WAITS: Final = (is_in(JobState.QUEUED), Job.backlog_rank.is_not(None))
_IS_FIRST: Final = Job.batch_line == Job.backlog_rank


class _Purse(NamedTuple):
    id: str
    max_cost_pusd: int | None
    spent_pusd: int
    succeeded: int


class _Group(NamedTuple):
    """Lines with one prefix of which some can be claimed: all that wait, or only the first."""

    rank: int
    is_cold: bool


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
            if left <= 0:
                break
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
    """Those of the batches that still run, in the order given.

    Where money is limited nobody else claims until the commit, so that workers do not spend the
    same money; rows are locked in the order of their ids, as by those who settle.
    """
    these = (Batch.id.in_(batch_ids), Batch.state == BatchState.RUNNING.value)
    limited = select(Batch.id).where(*these, Batch.max_cost_pusd.is_not(None)).order_by(Batch.id)
    connection.execute(limited.with_for_update(key_share=True))
    columns = (Batch.id, Batch.max_cost_pusd, Batch.spent_pusd, Batch.succeeded)
    found = {row.id: _Purse(*row) for row in connection.execute(select(*columns).where(*these))}
    return [found[batch_id] for batch_id in batch_ids if batch_id in found]


def _affordable(connection: Connection, purse: _Purse, wanted: int) -> int:
    """How many more lines the money is enough for, at the mean price of those that succeeded.

    When it is not enough for one more and none is under way, the batch is paused.
    """
    if purse.max_cost_pusd is None:
        return wanted
    left_pusd = purse.max_cost_pusd - purse.spent_pusd
    mean_pusd = max(1, -(-purse.spent_pusd // max(1, purse.succeeded)))
    most = max(0, left_pusd // mean_pusd if purse.succeeded else _FIRST)
    under_way = _count_under_way(connection, purse.id)
    if left_pusd > 0 and most > under_way:
        return min(wanted, most - under_way)
    if not under_way:
        limit = money.usd_text(money.to_usd(purse.max_cost_pusd))
        connection.execute(
            update(Batch)
            .where(Batch.id == purse.id)
            .values(
                state=BatchState.PAUSED.value,
                stopped_by=f"its max cost of {limit} USD is reached",
            )
        )
    return 0


def _count_under_way(connection: Connection, batch_id: str) -> int:
    """Lines that left the backlog and have not ended: they run, or come back by message."""
    query = select(func.count()).where(
        Job.batch_id == batch_id, Job.backlog_rank.is_(None), Job.finished_ms.is_(None)
    )
    return connection.scalar(query) or 0


def _next_lines(connection: Connection, batch_id: str, tier: str, count: int) -> list[str]:
    """Ids of the next lines in the order of the backlog, without those whose prefix is cold."""
    found: list[str] = []
    after = -1
    while len(found) < count:
        wanted = count - len(found)
        groups = _groups(connection, batch_id, tier, after=after, limit=wanted)
        found += _lines_of(connection, batch_id, tier, groups, wanted)
        if len(groups) < wanted:
            break
        after = groups[-1].rank  # what others claim at this moment was left out
    return found


def _groups(
    connection: Connection, batch_id: str, tier: str, *, after: int, limit: int
) -> list[_Group]:
    """The next groups of which lines can be claimed.

    It goes from group to group, so that a million lines behind a cold one cost nothing; it passes
    by no more groups than there are lines under way.
    """
    waits = (Job.batch_id == batch_id, Job.tier == tier, *_WAITS)

    def next_after(rank: Any) -> ColumnElement[int]:
        return (
            select(func.min(Job.backlog_rank)).where(*waits, Job.backlog_rank > rank)
        ).scalar_subquery()

    walk = select(next_after(after).label("rank")).cte("walk", recursive=True)
    walk = walk.union_all(select(next_after(walk.c.rank)).where(walk.c.rank.is_not(None)))
    first = aliased(Job)
    is_its_first = (first.batch_id == batch_id, first.batch_line == walk.c.rank)
    is_cold = exists().where(*is_its_first, first.finished_ms.is_(None))
    first_waits = exists().where(*is_its_first, first.backlog_rank == walk.c.rank)
    query = (
        select(walk.c.rank, is_cold.label("is_cold"))
        .where(walk.c.rank.is_not(None), ~is_cold | first_waits)
        .limit(limit)
    )
    return sorted(_Group(row.rank, bool(row.is_cold)) for row in connection.execute(query))


def _lines_of(
    connection: Connection, batch_id: str, tier: str, groups: Sequence[_Group], count: int
) -> list[str]:
    """Lock up to so many lines of the groups, in their order, that nobody else has locked."""
    query = (
        select(Job.id)
        .where(Job.batch_id == batch_id, Job.tier == tier, *_WAITS)
        .order_by(Job.backlog_rank, Job.batch_line)
        .with_for_update(skip_locked=True)
    )
    found: list[str] = []
    for are_cold, some in groupby(groups, key=lambda group: group.is_cold):
        ranks = [group.rank for group in some]
        parts = (
            [query.where(Job.backlog_rank.in_(ranks), Job.batch_line.in_(ranks), _IS_FIRST)]
            if are_cold
            else [query.where(Job.backlog_rank == rank) for rank in ranks]
        )
        for part in parts:
            if len(found) < count:
                found += connection.scalars(part.limit(count - len(found)))
    return found
