"""What the ledger knows of the traffic: how much, how long, when, and what engines took for it.

Sums only, so that a plan can be made of a million jobs. Times are milliseconds, money picodollars.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, select

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Charge, Job, JobResult, WorkerTime
from penstock_shared.words import Source

_HOUR_MS = 3_600_000


class Answered(NamedTuple):
    """The jobs of a tier that the engine or the cache answered, so without embeddings."""

    tier: str
    jobs: int
    by_engine: int


class EngineWork(NamedTuple):
    """Sums over the jobs of a tier that its engine answered, at one price and in one manner."""

    tier: str
    price_per_hour_pusd: int
    is_quantized: bool
    has_speculation: bool
    jobs: int
    charged_pusd: int
    prompt: int  # tokens
    output: int  # tokens
    prompt_squared: int
    prompt_times_output: int
    output_squared: int
    prefill_ms: int
    decode_ms: int


class Arrivals(NamedTuple):
    """When jobs came, of all tiers."""

    jobs: int
    first_ms: int
    last_ms: int
    in_busiest_hour: int


class Waste(NamedTuple):
    """What the workers of a tier, in their whole lives, were paid for."""

    tier: str
    charged_pusd: int
    waste_pusd: int


class Traffic(NamedTuple):
    """All of it, since some moment."""

    answered: tuple[Answered, ...]
    work: tuple[EngineWork, ...]
    waste: tuple[Waste, ...]
    arrivals: Arrivals | None  # None: nothing came


def read_traffic(database: Database, since_ms: int) -> Traffic:
    """The traffic of the jobs that were accepted at ``since_ms`` or later."""
    with database.read() as connection:
        return Traffic(
            _answered(connection, since_ms),
            _work(connection, since_ms),
            _waste(connection, since_ms),
            _arrivals(connection, since_ms),
        )


def _answered(connection: Connection, since_ms: int) -> tuple[Answered, ...]:
    by_engine = func.sum(case((JobResult.source == Source.ENGINE.value, 1), else_=0))
    query = (
        select(Job.tier, func.count(), by_engine)
        .join(JobResult, JobResult.job_id == Job.id)
        .where(Job.created_ms >= since_ms, JobResult.source != Source.ENCODER.value)
        .group_by(Job.tier)
        .order_by(Job.tier)
    )
    return tuple(Answered(*_whole(row)) for row in connection.execute(query))


def _work(connection: Connection, since_ms: int) -> tuple[EngineWork, ...]:
    prompt, output = JobResult.prompt_tokens, JobResult.completion_tokens
    manner = (
        Job.tier,
        WorkerTime.price_per_hour_pusd,
        JobResult.quantization.is_not(None),
        JobResult.speculation.is_not(None),
    )
    sums = (
        Charge.amount_pusd,
        prompt,
        output,
        prompt * prompt,
        prompt * output,
        output * output,
        JobResult.prefill_ms,
        JobResult.decode_ms,
    )
    query = (
        select(*manner, func.count(), *map(func.sum, sums))
        .join(JobResult, JobResult.job_id == Job.id)
        .join(Charge, Charge.job_id == Job.id)
        .join(WorkerTime, WorkerTime.worker_id == Charge.worker_id)
        .where(Job.created_ms >= since_ms, JobResult.source == Source.ENGINE.value)
        .group_by(*manner)
        .order_by(*manner)
    )
    return tuple(EngineWork(*_whole(row)) for row in connection.execute(query))


def _waste(connection: Connection, since_ms: int) -> tuple[Waste, ...]:
    wasted = func.sum(WorkerTime.waste_pusd + WorkerTime.lost_pusd)
    query = (
        select(WorkerTime.tier, func.sum(WorkerTime.charged_pusd), wasted)
        .where(WorkerTime.seen_ms >= since_ms)
        .group_by(WorkerTime.tier)
        .order_by(WorkerTime.tier)
    )
    return tuple(Waste(*_whole(row)) for row in connection.execute(query))


def _arrivals(connection: Connection, since_ms: int) -> Arrivals | None:
    hour = (Job.created_ms // _HOUR_MS).label("hour")
    query = (
        select(hour, func.count(), func.min(Job.created_ms), func.max(Job.created_ms))
        .where(Job.created_ms >= since_ms)
        .group_by(hour)
    )
    rows = list(connection.execute(query))
    if not rows:
        return None
    _, counts, firsts, lasts = zip(*rows, strict=True)
    return Arrivals(sum(counts), min(firsts), max(lasts), max(counts))


def _whole(row: Any) -> list[Any]:
    """PostgreSQL gives sums as Decimal, which are whole numbers here."""
    return [value if isinstance(value, str | bool) else int(value) for value in row]
