"""What one pass over the facts tells: all of it, by tier, by source, and what the cache answered.

Money is picodollars.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from penstock_shared.ledger.reporting.facts import FACTS, Scope
from penstock_shared.ledger.reporting.lines import SUMS, Line, gathered, in_order, whole
from penstock_shared.ledger.reporting.savings import Work
from penstock_shared.words import Source


class Hits(NamedTuple):
    """What a tier answered without its engine."""

    tier: str
    requests: int
    tokens: int
    then_pusd: int  # what these answers cost when they were made
    unknown: int  # requests of which that was not written down


class Overview(NamedTuple):
    """The sums that every report needs."""

    total: Line
    tiers: list[Line]
    sources: list[Line]
    work: list[Work]
    hits: list[Hits]


def overview(connection: Connection, scope: Scope) -> Overview:
    """Read it."""
    keys = (FACTS.c.tier, FACTS.c.source)
    of_hits = (whole(FACTS.c.saved_pusd), func.count().filter(FACTS.c.saved_pusd == 0))
    query = select(*keys, *of_hits, FACTS.c.bucket, *SUMS).where(*scope.conditions())
    rows = connection.execute(query.group_by(*keys, FACTS.c.bucket)).all()
    [total] = gathered(rows) or [Line("", 0, 0, 0, 0, 0, None)]
    return Overview(
        total,
        in_order(gathered(rows, 0)),
        in_order(gathered(rows, 1)),
        [
            Work(str(line.key), line.requests, line.tokens, line.amount_pusd)
            for line in _by_name(row for row in rows if row.source == Source.ENGINE)
        ],
        _hits([row for row in rows if Source(row.source).is_cached]),
    )


def _hits(rows: Sequence[Any]) -> list[Hits]:
    def added(tier: str, place: int) -> int:
        return sum(row[place] for row in rows if row.tier == tier)

    return [
        Hits(line.key, line.requests, line.tokens, added(line.key, 2), added(line.key, 3))
        for line in _by_name(rows)
        if isinstance(line.key, str)
    ]


def _by_name(rows: Iterable[Any]) -> list[Line]:
    return sorted(gathered(rows, 0), key=lambda line: str(line.key))
