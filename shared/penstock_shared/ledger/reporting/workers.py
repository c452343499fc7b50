"""What the workers of a tier were paid for in a period.

Money is picodollars, times are milliseconds.
"""

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from penstock_shared.ledger.auditing import Window
from penstock_shared.ledger.reporting.facts import Scope
from penstock_shared.ledger.schema import WorkerTime

_END = func.coalesce(WorkerTime.ended_ms, WorkerTime.seen_ms)


class TierTime(NamedTuple):
    """What the workers of a tier were paid for."""

    tier: str
    lives: int
    partial: int  # of them reach beyond the period; they count by the part of their time in it
    worker_ms: int
    charged_pusd: int
    waste_pusd: int
    idle_pusd: int
    open_pusd: int  # used by requests that are in the engine, or not settled yet

    @property
    def paid_pusd(self) -> int:
        """Price x time."""
        return self.charged_pusd + self.waste_pusd + self.idle_pusd + self.open_pusd


def tier_times(connection: Connection, scope: Scope) -> list[TierTime]:
    """Of all lives that reach into the window, the part of each that lies in it."""
    columns = WorkerTime.__table__.columns
    query = select(*columns, _END.label("end_ms")).order_by(WorkerTime.tier)
    if scope.tier is not None:
        query = query.where(WorkerTime.tier == scope.tier)
    if scope.window.since_ms is not None:
        query = query.where(scope.window.since_ms <= _END)
    if scope.window.until_ms is not None:
        query = query.where(WorkerTime.started_ms < scope.window.until_ms)
    parts: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
    for row in connection.execute(query):
        parts[row.tier].append(_part(row, scope.window))
    return [TierTime(tier, *map(sum, zip(*rows, strict=True))) for tier, rows in parts.items()]


def _part(life: Any, window: Window) -> tuple[int, ...]:
    """One life, as the columns of TierTime."""
    waste = life.waste_pusd + life.lost_pusd
    # Between two heartbeats charges may be ahead of what is booked as paid.
    rest = max(0, life.paid_pusd - life.charged_pusd - waste - life.idle_pusd)
    begin = life.started_ms if window.since_ms is None else max(life.started_ms, window.since_ms)
    end = life.end_ms if window.until_ms is None else min(life.end_ms, window.until_ms)
    inside, whole = end - begin, life.end_ms - life.started_ms
    spent = (life.charged_pusd, waste, life.idle_pusd, rest)
    if inside < whole:
        spent = tuple(amount * inside // whole for amount in spent)
    return 1, int(inside < whole), inside, *spent
