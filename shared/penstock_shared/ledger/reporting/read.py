"""Everything that a report needs, read as of one moment."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from penstock_shared.ledger.auditing import Window
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.reporting import lines, savings, workers
from penstock_shared.ledger.reporting.facts import Dimension, Offset, Scope, facts
from penstock_shared.ledger.reporting.lines import Dear, Line
from penstock_shared.ledger.reporting.overview import Hits, Overview, overview
from penstock_shared.ledger.reporting.savings import Manner, Work
from penstock_shared.ledger.reporting.workers import TierTime
from penstock_shared.ledger.schema import Charge


class Span(NamedTuple):
    """The first and the last charge of a window; milliseconds since 1970."""

    first_ms: int
    last_ms: int


class Findings(NamedTuple):
    """What the ledger knows."""

    span: Span | None  # None: nothing was charged
    total: Line
    by: dict[Dimension, list[Line]]
    lengths: list[Line]
    dearest: list[Dear]
    workers: list[TierTime]
    work: list[Work]
    all_work: list[Work]  # of all tenants and tiers: what prices are measured on
    hits: list[Hits]
    comparisons: dict[str, int]
    manners: list[Manner]


def read_findings(
    database: Database,
    scope: Scope,
    *,
    offsets: Callable[[Span], Sequence[Offset]],
    dimensions: Collection[Dimension] = tuple(Dimension),
    top: int = 10,
) -> Findings:
    """Read it all. ``offsets`` says for a span how local time differs from UTC in it."""
    with database.snapshot() as connection:
        span = _span(connection, scope.window)
        local = offsets(span) if span else []
        with facts(connection, scope.window, local, is_sqlite=database.is_sqlite):
            seen = overview(connection, scope)
            is_all = scope.tenant is None and scope.tier is None
            return Findings(
                span=span,
                total=seen.total,
                by=_breakdowns(connection, scope, seen, dimensions, top),
                lengths=lines.by_length(connection, scope),
                dearest=lines.dearest_requests(connection, scope, top),
                workers=workers.tier_times(connection, scope),
                work=seen.work,
                all_work=seen.work if is_all else savings.work(connection, Scope(scope.window)),
                hits=seen.hits,
                comparisons=savings.comparisons(connection, scope),
                manners=savings.manners(connection, scope),
            )


def _breakdowns(
    connection: Connection,
    scope: Scope,
    seen: Overview,
    dimensions: Collection[Dimension],
    top: int,
) -> dict[Dimension, list[Line]]:
    found = {Dimension.TIER: seen.tiers, Dimension.SOURCE: seen.sources}
    return {
        each: found[each]
        if each in found
        else lines.by_dimension(connection, scope, each, seen.total, top)
        for each in Dimension
        if each in dimensions
    }


def _span(connection: Connection, window: Window) -> Span | None:
    moments = (func.min(Charge.created_ms), func.max(Charge.created_ms))
    # One at a time, so that each is one look into the index.
    first, last = (
        connection.scalar(select(moment).where(*window.holds(Charge.created_ms)))
        for moment in moments
    )
    return None if first is None or last is None else Span(first, last)
