"""What the cache did, by tenant and tier: counted from results, trials and entries."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any, NamedTuple

from sqlalchemy import LargeBinary, Select, case, cast, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute

from penstock_shared import bounds
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheEntry, CacheTrial, Charge, JobResult, is_a_hit
from penstock_shared.words import Source


class Counts(NamedTuple):
    """Sums over jobs, trials and entries."""

    answered: int = 0  # jobs that the engine or the cache answered
    exact: int = 0
    semantic: int = 0
    joined: int = 0
    near_misses: int = 0
    saved_pusd: int = 0
    compared: int = 0
    differed: int = 0
    served_compared: int = 0  # of those, the caller had the cached answer
    served_differed: int = 0  # and it was a false hit
    exploration_pusd: int = 0
    entries: int = 0
    stored_bytes: int = 0  # of their questions, answers and vectors

    def plus(self, other: "Counts") -> "Counts":
        """The sum, column by column."""
        return Counts(*map(sum, zip(self, other, strict=True)))

    @property
    def hits(self) -> int:
        """Jobs for which the engine did nothing."""
        return self.exact + self.semantic + self.joined

    @property
    def hit_rate(self) -> float | None:
        """Their share; None before the first answer."""
        return self.hits / self.answered if self.answered else None

    @property
    def false_hit_rate(self) -> float | None:
        """Of the semantic hits that the engine answered as well, how many differed."""
        return self.served_differed / self.served_compared if self.served_compared else None

    @property
    def false_hit_bound(self) -> float | None:
        """What the true rate does not exceed, with 95 % confidence; None without evidence."""
        return bounds.upper_bound(self.served_differed, self.served_compared)


class Standing(NamedTuple):
    """What the cache did for one tenant on one tier."""

    tenant: str
    tier: str
    counts: Counts


Column = InstrumentedAttribute[str]
Choice = Callable[[Column, Column], list[Any]]


def standings(
    database: Database, *, tenant: str | None = None, tier: str | None = None
) -> list[Standing]:
    """One for each tenant and tier that has answers, trials or entries, in their order."""

    def chosen(of_tenant: Column, of_tier: Column) -> list[Any]:
        pairs = ((of_tenant, tenant), (of_tier, tier))
        return [column == wanted for column, wanted in pairs if wanted is not None]

    found: defaultdict[tuple[str, str], Counts] = defaultdict(Counts)
    queries = [_answered(chosen), _hits(chosen), _near(chosen), _trials(chosen)]
    queries.append(_entries(chosen, _size_on_sqlite if database.is_sqlite else func.octet_length))
    with database.read() as connection:
        for query in queries:
            for row in connection.execute(query).mappings():
                names = (name for name in row if name not in {"tenant", "tier"})
                counts = Counts(**{name: int(row[name] or 0) for name in names})
                whose = (row["tenant"], row["tier"])
                found[whose] = found[whose].plus(counts)
    return [Standing(*whose, found[whose]) for whose in sorted(found)]


def total(of: Iterable[Standing]) -> Counts:
    """All of them together."""
    return reduce(Counts.plus, (standing.counts for standing in of), Counts())


def _grouped(chosen: Choice, tenant: Column, tier: Column, *sums: Any) -> Select[Any]:
    return select(tenant, tier, *sums).where(*chosen(tenant, tier)).group_by(tenant, tier)


def _of_charges(chosen: Choice, *sums: Any) -> Select[Any]:
    # A job has one result and one charge; the charge knows whose it is.
    query = _grouped(chosen, Charge.tenant, Charge.tier, *sums)
    return query.join_from(Charge, JobResult, JobResult.job_id == Charge.job_id)


def _answered(chosen: Choice) -> Select[Any]:
    return _grouped(chosen, Charge.tenant, Charge.tier, func.count().label("answered"))


def _hits(chosen: Choice) -> Select[Any]:
    of_source = (
        func.sum(case((JobResult.source == source.value, 1), else_=0)).label(source.value)
        for source in (Source.EXACT, Source.SEMANTIC, Source.JOINED)
    )
    saved = func.sum(JobResult.saved_pusd).label("saved_pusd")
    # Their index has embeddings too: these are no answers that a cache could give.
    encoded = func.sum(case((JobResult.source == Source.ENCODER.value, 1), else_=0))
    no_answers = (-encoded).label("answered")
    return _of_charges(chosen, *of_source, saved, no_answers).where(is_a_hit())


def _near(chosen: Choice) -> Select[Any]:
    count = func.count().label("near_misses")
    return _of_charges(chosen, count).where(JobResult.near_miss.is_not(None))


def _trials(chosen: Choice) -> Select[Any]:
    differed = case((CacheTrial.agreed, 0), else_=1)
    return _grouped(
        chosen,
        CacheTrial.tenant,
        CacheTrial.tier,
        func.count().label("compared"),
        func.sum(differed).label("differed"),
        func.sum(case((CacheTrial.served, 1), else_=0)).label("served_compared"),
        func.sum(case((CacheTrial.served, differed), else_=0)).label("served_differed"),
        func.sum(CacheTrial.cost_pusd).label("exploration_pusd"),
    )


def _entries(chosen: Choice, size_of: Callable[[Any], Any]) -> Select[Any]:
    parts = (CacheEntry.question, CacheEntry.text, CacheEntry.vector)
    size = sum((func.coalesce(size_of(part), 0) for part in parts), literal(0))
    return _grouped(
        chosen,
        CacheEntry.tenant,
        CacheEntry.tier,
        func.count().label("entries"),
        func.sum(size).label("stored_bytes"),
    )


def _size_on_sqlite(column: Any) -> Any:
    return func.length(cast(column, LargeBinary))  # of text it counts characters
