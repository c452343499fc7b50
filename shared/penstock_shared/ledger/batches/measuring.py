"""What engines took for requests lately, and which workers live: what an estimate rests on."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import JSON, ColumnElement, Integer, cast, func, select

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Charge, Job, JobResult, WorkerTime
from penstock_shared.request import Sampling
from penstock_shared.words import Source

_LAST_CHARGES: Final = 50_000  # of all tiers; a tier that is not among them has no figures
_LAST_OF_TIER: Final = 2_000


class Measured(NamedTuple):
    """One request that an engine answered.

    ``charged_pusd`` are picodollars at ``price_per_hour_pusd`` of its worker; ``max_tokens`` is
    what its answer might have had, ``completion_tokens`` what it had.
    """

    charged_pusd: int
    price_per_hour_pusd: int
    prompt_tokens: int
    completion_tokens: int
    max_tokens: int
    prefill_ms: int
    decode_ms: int


def recent(database: Database, tiers: Iterable[str]) -> dict[str, list[Measured]]:
    """The last requests that the engine of each tier answered, the newest first."""
    return {tier: _recent(database, tier) for tier in tiers}


def live_workers(database: Database, *, seen_since_ms: int) -> dict[str, int]:
    """How many workers of each tier have been heard of since a moment and have not ended."""
    query = (
        select(WorkerTime.tier, func.count())
        .where(WorkerTime.ended_ms.is_(None), WorkerTime.seen_ms >= seen_since_ms)
        .group_by(WorkerTime.tier)
    )
    with database.read() as connection:
        return {tier: int(count) for tier, count in connection.execute(query)}


def _recent(database: Database, tier: str) -> list[Measured]:
    last = (
        select(Charge.job_id, Charge.tier, Charge.worker_id, Charge.amount_pusd, Charge.created_ms)
        .order_by(Charge.created_ms.desc())
        .limit(_LAST_CHARGES)
        .subquery()
    )
    query = (
        select(
            last.c.amount_pusd,
            WorkerTime.price_per_hour_pusd,
            JobResult.prompt_tokens,
            JobResult.completion_tokens,
            _max_tokens(is_sqlite=database.is_sqlite),
            JobResult.prefill_ms,
            JobResult.decode_ms,
        )
        .join(JobResult, JobResult.job_id == last.c.job_id)
        .join(Job, Job.id == last.c.job_id)
        .join(WorkerTime, WorkerTime.worker_id == last.c.worker_id)
        .where(last.c.tier == tier, JobResult.source == Source.ENGINE.value)
        .order_by(last.c.created_ms.desc(), last.c.job_id)
        .limit(_LAST_OF_TIER)
    )
    with database.read() as connection:
        return [Measured(*map(int, row)) for row in connection.execute(query)]


def _max_tokens(*, is_sqlite: bool) -> ColumnElement[Any]:
    """What the request says, whose JSON leaves out what is the default."""
    said: ColumnElement[Any]
    if is_sqlite:
        said = func.json_extract(Job.request, "$.sampling.max_tokens")
    else:
        said = cast(cast(Job.request, JSON)["sampling"]["max_tokens"].as_string(), Integer)
    return func.coalesce(said, Sampling.model_fields["max_tokens"].default)
