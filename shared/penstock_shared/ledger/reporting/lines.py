"""Where the money went: sums and percentiles over the facts. Money is picodollars."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, case, func, select

from penstock_shared.ledger.reporting.facts import FACTS, Dimension, Scope
from penstock_shared.words import Source

PERCENTILES: Final = (50, 95, 99)
# Tokens of prompt and answer together, where a bucket of lengths begins.
LENGTHS: Final = (0, *(2**power for power in range(7, 21)))
_OPEN: Final = frozenset({Dimension.TENANT, Dimension.WORKFLOW})  # may have any number of values
_HAS_ENGINE: Final = FACTS.c.source == Source.ENGINE.value


class Line(NamedTuple):
    """Sums over the answered requests that have something in common."""

    key: str | int | None  # None: all others
    requests: int
    by_engine: int  # of them; the cache answered the others
    prompt_tokens: int
    output_tokens: int
    amount_pusd: int
    percentiles_pusd: tuple[int, ...] | None  # of a request, within 1 %; None: not computed

    @property
    def tokens(self) -> int:
        """Of prompts and answers."""
        return self.prompt_tokens + self.output_tokens

    @property
    def mean_pusd(self) -> int | None:
        """What a request cost."""
        return round(Fraction(self.amount_pusd, self.requests)) if self.requests else None

    @property
    def per_1000_tokens_pusd(self) -> int | None:
        """What 1,000 tokens cost, of prompts and answers together."""
        return round(Fraction(self.amount_pusd * 1000, self.tokens)) if self.tokens else None


class Dear(NamedTuple):
    """One expensive request."""

    job_id: str
    tenant: str
    tier: str
    task_type: str
    workflow: str
    prompt_tokens: int
    output_tokens: int
    amount_pusd: int
    created_ms: int


def total(connection: Connection, scope: Scope) -> Line:
    """Everything in one line."""
    [line] = _lines(connection, select(*_SUMS), scope) or [Line("", 0, 0, 0, 0, 0, None)]
    return line


def by_dimension(
    connection: Connection, scope: Scope, dimension: Dimension, whole: Line, top: int
) -> list[Line]:
    """One line for each value, the dearest first (days in their order).

    Of tenants and workflows the first ``top``, and then what all others are together.
    """
    column = FACTS.c[dimension.value]
    query = select(column.label("key"), *_SUMS)
    if dimension not in _OPEN:
        lines = _lines(connection, query.group_by(column), scope)
        if dimension is Dimension.DAY:
            return sorted(lines, key=lambda line: int(line.key or 0))
        return sorted(lines, key=lambda line: (-line.amount_pusd, str(line.key)))
    keys = _dearest(connection, scope, column, top)
    found = {
        line.key: line
        for line in _lines(connection, query.where(column.in_(keys)).group_by(column), scope)
    }
    shown = [found[key] for key in keys]
    rest = _rest(whole, shown)
    return [*shown, rest] if rest.requests else shown


def by_length(connection: Connection, scope: Scope) -> list[Line]:
    """What engines answered, by tokens of prompt and answer; the key is where a bucket begins."""
    tokens = FACTS.c.prompt_tokens + FACTS.c.output_tokens
    begins = case(*((tokens >= begin, begin) for begin in reversed(LENGTHS[1:])), else_=0)
    query = select(begins.label("key"), *_SUMS).where(_HAS_ENGINE).group_by("key")
    return sorted(_lines(connection, query, scope), key=lambda line: int(line.key or 0))


def dearest_requests(connection: Connection, scope: Scope, top: int) -> list[Dear]:
    """The requests that cost most."""
    columns = (FACTS.c[name] for name in Dear._fields)
    query = (
        select(*columns)
        .where(*scope.conditions())
        .order_by(FACTS.c.amount_pusd.desc(), FACTS.c.job_id)
        .limit(top)
    )
    return [Dear(*row) for row in connection.execute(query)]


class Bucket(NamedTuple):
    """Requests whose costs are alike to 1 %."""

    requests: int
    amount_pusd: int


def percentiles(buckets: Mapping[int, Bucket]) -> tuple[int, ...]:
    """What so many of 100 requests do not exceed: the mean of the bucket that holds the last."""
    ordered = [buckets[number] for number in sorted(buckets)]
    ranks = list(accumulate(bucket.requests for bucket in ordered))

    def reached(percent: int) -> int:
        wanted = -(-ranks[-1] * percent // 100)  # nearest rank
        bucket = ordered[bisect_left(ranks, wanted)]
        return round(Fraction(bucket.amount_pusd, bucket.requests))

    return tuple(map(reached, PERCENTILES))


_SUMS: Final = (
    FACTS.c.bucket,
    func.count().label("requests"),
    func.sum(case((_HAS_ENGINE, 1), else_=0)).label("by_engine"),
    func.sum(FACTS.c.prompt_tokens).label("prompt_tokens"),
    func.sum(FACTS.c.output_tokens).label("output_tokens"),
    func.sum(FACTS.c.amount_pusd).label("amount_pusd"),
)
_ADDED: Final = ("requests", "by_engine", "prompt_tokens", "output_tokens", "amount_pusd")


def _lines(connection: Connection, query: Select[Any], scope: Scope) -> list[Line]:
    """Group by bucket too, and put the buckets together again."""
    grouped = query.where(*scope.conditions()).group_by(FACTS.c.bucket)
    sums: defaultdict[Any, list[int]] = defaultdict(lambda: [0] * len(_ADDED))
    buckets: defaultdict[Any, dict[int, Bucket]] = defaultdict(dict)
    for row in connection.execute(grouped).mappings():
        key = row.get("key", "")
        for place, name in enumerate(_ADDED):
            sums[key][place] += int(row[name])
        buckets[key][row["bucket"]] = Bucket(row["requests"], int(row["amount_pusd"]))
    return [_line(key, sums[key], percentiles(buckets[key])) for key in sums]


def _line(key: Any, sums: list[int], of_requests: tuple[int, ...] | None) -> Line:
    return Line(key, **dict(zip(_ADDED, sums, strict=True)), percentiles_pusd=of_requests)


def _dearest(connection: Connection, scope: Scope, column: Any, top: int) -> Sequence[str]:
    cost = func.sum(FACTS.c.amount_pusd)
    query = select(column).where(*scope.conditions()).group_by(column)
    return list(connection.scalars(query.order_by(cost.desc(), column).limit(top)))


def _rest(whole: Line, shown: Iterable[Line]) -> Line:
    shown = list(shown)
    left = [getattr(whole, name) - sum(getattr(s, name) for s in shown) for name in _ADDED]
    return _line(None, left, None)
