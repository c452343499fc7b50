"""What savings are computed from: hits, rates of tiers, and jobs served in different manners.

Sums over the facts; money is picodollars.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, or_, select

from penstock_shared.ledger.reporting.facts import FACTS, Scope
from penstock_shared.ledger.schema import CacheTrial, JobResult
from penstock_shared.words import Source


class Work(NamedTuple):
    """What the engines of a tier answered."""

    tier: str
    requests: int
    tokens: int  # of prompts and answers
    amount_pusd: int


class Manner(NamedTuple):
    """What a tier's engines answered with one model in one manner."""

    tier: str
    model: str
    is_quantized: bool
    has_speculation: bool
    requests: int
    tokens: int
    amount_pusd: int


_TOKENS = FACTS.c.prompt_tokens + FACTS.c.output_tokens
_BY_ENGINE = FACTS.c.source == Source.ENGINE.value


def work(connection: Connection, scope: Scope) -> list[Work]:
    """What engines answered, by tier."""
    sums = (func.count(), func.sum(_TOKENS), func.sum(FACTS.c.amount_pusd))
    query = select(FACTS.c.tier, *sums).where(_BY_ENGINE, *scope.conditions())
    rows = connection.execute(query.group_by(FACTS.c.tier).order_by(FACTS.c.tier))
    return [Work(*_whole(row)) for row in rows]


def comparisons(connection: Connection, scope: Scope) -> dict[str, int]:
    """What comparing cached answers with the engine's cost, by tier."""
    pairs = ((CacheTrial.tenant, scope.tenant), (CacheTrial.tier, scope.tier))
    chosen = [column == wanted for column, wanted in pairs if wanted is not None]
    query = select(CacheTrial.tier, func.sum(CacheTrial.cost_pusd)).group_by(CacheTrial.tier)
    query = query.where(*chosen, *scope.window.holds(CacheTrial.created_ms))
    return {tier: int(cost) for tier, cost in connection.execute(query)}


def manners(connection: Connection, scope: Scope) -> list[Manner]:
    """What engines answered, by tier, model and manner; nothing where there is one manner only.

    No model is read of ledgers in which nothing was quantized or speculated.
    """
    quantized, speculates = (
        JobResult.quantization.is_not(None),
        JobResult.speculation.is_not(None),
    )
    some = select(JobResult.job_id).where(or_(quantized, speculates)).limit(1)
    if connection.scalar(some) is None:
        return []
    keys = (FACTS.c.tier, JobResult.model, quantized, speculates)
    query = (
        select(*keys, func.count(), func.sum(_TOKENS), func.sum(FACTS.c.amount_pusd))
        .join(JobResult, JobResult.job_id == FACTS.c.job_id)
        .where(_BY_ENGINE, *scope.conditions())
        .group_by(*keys)
        .order_by(*keys)
    )
    return [Manner(*_whole(row)) for row in connection.execute(query)]


def _whole(row: Any) -> list[Any]:
    """PostgreSQL gives sums as Decimal, which are whole numbers here; SQLite gives 0 and 1."""
    return [value if isinstance(value, str | bool) else int(value) for value in row]
