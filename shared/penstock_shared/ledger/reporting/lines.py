"""Where the money went: sums and percentiles over the facts. Money is picodollars."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from operator import add
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, case, cast, func, select

from penstock_shared.ledger.reporting.facts import FACTS, Dimension, Scope
from penstock_shared.words import Source

PERCENTILES: Final = (50, 95, 99)
# Tokens of prompt and answer together, where a bucket of lengths begins.
LENGTHS: Final = (0, *(2**power for power in range(7, 21)))
_OPEN: Final = frozenset({Dimension.TENANT, Dimension.WORKFLOW})  # may have any number of values
HAS_ENGINE: Final = FACTS.c.source == Source.ENGINE.value
_IS_COMPUTED: Final = FACTS.c.source.in_([s.value for s in Source if not s.is_cached])


class Line(NamedTuple):
    """Sums over the answered requests that have something in common."""

    key: str | int | None  # None: all others
    requests: int
    by_engine: int  # of them, or by the encoder; the cache answered the others
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


def gathered(rows: Iterable[Sequence[Any]], place: int | None = None) -> list[Line]:
    """Lines of rows of keys, a bucket and sums: one for each value of the key at ``place``.

    With None, everything is one line.
    """
    found: defaultdict[Any, _Gathering] = defaultdict(_Gathering)
    for row in rows:
        found["" if place is None else row[place]].take(*row[-len(ADDED) - 1 :])
    return [_line(key, each.sums, percentiles(each.buckets)) for key, each in found.items()]


def by_dimension(
    connection: Connection, scope: Scope, dimension: Dimension, whole: Line, top: int
) -> list[Line]:
    """One line for each value, the dearest first (days in their order).

    Of tenants and workflows the first ``top``, and then what all others are together.
    """
    column = FACTS.c[dimension.value]
    if dimension not in _OPEN:
        lines = gathered(bucket_rows(connection, scope, column), 0)
        return in_order(lines, is_time=dimension is Dimension.DAY)
    keys = _dearest(connection, scope, column, top)
    found = gathered(bucket_rows(connection, scope, column, column.in_(keys)), 0)
    rest = _rest(whole, found)
    return [*in_order(found), rest] if rest.requests else in_order(found)


def in_order(lines: Iterable[Line], *, is_time: bool = False) -> list[Line]:
    """The dearest first, or what comes first."""
    if is_time:
        return sorted(lines, key=lambda line: int(line.key or 0))
    return sorted(lines, key=lambda line: (-line.amount_pusd, str(line.key)))


def by_length(connection: Connection, scope: Scope) -> list[Line]:
    """What engines answered, by tokens of prompt and answer; the key is where a bucket begins."""
    tokens = FACTS.c.prompt_tokens + FACTS.c.output_tokens
    begins = case(*((tokens >= begin, begin) for begin in reversed(LENGTHS[1:])), else_=0)
    lines = gathered(bucket_rows(connection, scope, begins, HAS_ENGINE), 0)
    return in_order(lines, is_time=True)


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


class _Gathering:
    """A line in the making: sums, and for each bucket how many requests and what they cost."""

    def __init__(self) -> None:
        self.sums = [0] * len(ADDED)
        self.buckets: dict[int, tuple[int, int]] = {}

    def take(self, bucket: int, *sums: int) -> None:
        self.sums = list(map(add, self.sums, sums))
        requests, amount = self.buckets.get(bucket, (0, 0))
        self.buckets[bucket] = requests + sums[0], amount + sums[-1]


def percentiles(buckets: Mapping[int, tuple[int, int]]) -> tuple[int, ...]:
    """What so many of 100 requests do not exceed: the mean of the bucket that holds the last.

    A bucket is how many requests cost about as much, and what they cost together.
    """
    ordered = [buckets[number] for number in sorted(buckets)]
    ranks = list(accumulate(requests for requests, _ in ordered))

    def reached(percent: int) -> int:
        wanted = -(-ranks[-1] * percent // 100)  # nearest rank
        requests, amount = ordered[bisect_left(ranks, wanted)]
        return round(Fraction(amount, requests))

    return tuple(map(reached, PERCENTILES))


def bucket_rows(
    connection: Connection, scope: Scope, key: Any, *conditions: ColumnElement[bool]
) -> Sequence[Row[Any]]:
    """The key, the bucket, and the sums that are ADDED."""
    query = select(key.label("key"), FACTS.c.bucket, *SUMS)
    grouped = query.where(*conditions, *scope.conditions()).group_by("key", FACTS.c.bucket)
    return connection.execute(grouped).all()


def whole(total: Any) -> ColumnElement[int]:
    """A sum as an integer; those of PostgreSQL are decimals."""
    return cast(func.sum(total), BigInteger)


ADDED: Final = ("requests", "by_engine", "prompt_tokens", "output_tokens", "amount_pusd")
SUMS: Final = (
    func.count(),
    whole(case((_IS_COMPUTED, 1), else_=0)),
    whole(FACTS.c.prompt_tokens),
    whole(FACTS.c.output_tokens),
    whole(FACTS.c.amount_pusd),
)


def _line(key: Any, sums: list[int], of_requests: tuple[int, ...] | None) -> Line:
    return Line(key, **dict(zip(ADDED, sums, strict=True)), percentiles_pusd=of_requests)


def _dearest(connection: Connection, scope: Scope, column: Any, top: int) -> Sequence[str]:
    cost = func.sum(FACTS.c.amount_pusd)
    query = select(column).where(*scope.conditions()).group_by(column)
    return list(connection.scalars(query.order_by(cost.desc(), column).limit(top)))


def _rest(whole: Line, shown: Iterable[Line]) -> Line:
    shown = list(shown)
    left = [getattr(whole, name) - sum(getattr(s, name) for s in shown) for name in ADDED]
    return _line(None, left, None)
