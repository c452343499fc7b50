"""One narrow row for each charge of the report's window, in a temporary table.

Jobs, results and charges are joined once, and every question is then asked of this table. Money is
picodollars, moments are milliseconds since 1970.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    case,
    cast,
    func,
    insert,
    literal,
    select,
)

from penstock_shared.ledger.auditing import Window
from penstock_shared.ledger.schema import Charge, Job, JobResult
from penstock_shared.ledger.schema_base import Label

DAY_MS: Final = 86_400_000
NOTHING: Final = ""  # the key of jobs without a workflow
_DIGITS: Final = 3  # the first of a charge; with their number they tell its bucket, 1 % wide
# A million rows fit into memory.
_FOR_SQLITE: Final = ("PRAGMA main.cache_size = -131072", "PRAGMA temp.cache_size = -262144")
_FOR_POSTGRESQL: Final = ("SET LOCAL work_mem = '64MB'",)

FACTS: Final = Table(
    "report_facts",
    MetaData(),
    Column("job_id", String),
    Column("tenant", Label),
    Column("tier", Label),
    Column("task_type", String),
    Column("workflow", Label),
    Column("day", Integer),  # since 1970, in the report's time zone
    Column("source", String),
    Column("prompt_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("amount_pusd", BigInteger),
    Column("saved_pusd", BigInteger),
    Column("bucket", BigInteger),  # of amount_pusd
    Column("created_ms", BigInteger),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


class Dimension(StrEnum):
    """By what money is divided; each is a column of the facts."""

    TIER = "tier"
    TASK_TYPE = "task_type"
    TENANT = "tenant"
    WORKFLOW = "workflow"
    DAY = "day"
    SOURCE = "source"


class Offset(NamedTuple):
    """From a moment on, local time is so much later than UTC."""

    since_ms: int
    offset_ms: int


class Scope(NamedTuple):
    """Which charges are reported: made in a window, of one tenant, of one tier."""

    window: Window = Window()
    tenant: str | None = None
    tier: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """On the facts, which hold all charges of the window."""
        pairs = ((FACTS.c.tenant, self.tenant), (FACTS.c.tier, self.tier))
        return [column == wanted for column, wanted in pairs if wanted is not None]


@contextmanager
def facts(
    connection: Connection, window: Window, offsets: Sequence[Offset], *, is_sqlite: bool
) -> Iterator[None]:
    """Make the table for as long as the block lasts."""
    for line in _FOR_SQLITE if is_sqlite else _FOR_POSTGRESQL:
        connection.exec_driver_sql(line)
    FACTS.create(connection, checkfirst=False)
    try:
        connection.execute(
            insert(FACTS).from_select(
                [column.name for column in FACTS.columns], _joined(window, offsets)
            )
        )
        yield
    finally:
        if is_sqlite:  # PostgreSQL drops it with the transaction
            connection.exec_driver_sql("DROP TABLE IF EXISTS temp.report_facts")


def _joined(window: Window, offsets: Sequence[Offset]) -> Any:
    text = cast(Charge.amount_pusd, String)
    first = cast(func.substr(text, 1, _DIGITS), Integer)
    return (
        select(
            Charge.job_id,
            Charge.tenant,
            Charge.tier,
            Job.task_type,
            func.coalesce(Job.workflow, NOTHING),
            (Charge.created_ms + _offset(offsets)) // DAY_MS,
            JobResult.source,
            JobResult.prompt_tokens,
            JobResult.completion_tokens,
            Charge.amount_pusd,
            JobResult.saved_pusd,
            func.length(text) * 10**_DIGITS + first,  # alike are those of as many digits
            Charge.created_ms,
        )
        .join(Job, Job.id == Charge.job_id)
        .join(JobResult, JobResult.job_id == Charge.job_id)
        .where(*window.holds(Charge.created_ms))
    )


def _offset(offsets: Sequence[Offset]) -> ColumnElement[int]:
    """How far local time is ahead of UTC when a charge was made."""
    first, *later = offsets or [Offset(0, 0)]
    if not later:
        return literal(first.offset_ms, BigInteger)
    ways = [(Charge.created_ms >= each.since_ms, each.offset_ms) for each in reversed(later)]
    return case(*ways, else_=first.offset_ms)
