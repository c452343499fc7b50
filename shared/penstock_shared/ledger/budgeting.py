"""Budgets in the ledger: reserved when jobs are accepted, settled when they end.

A row for each budget and period has what its open jobs have reserved and what was spent. A job
knows what it reserved and in which rows, so that a charge belongs to the period of the submit.
Each function runs in the transaction that accepts or ends the jobs, as its last step: what is
repeated after a lost commit finds nothing to do, and rows are locked for a short time, in the order
of their ids.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from penstock_shared import clock, money
from penstock_shared.budgets import Budget, Period
from penstock_shared.errors import BudgetExceeded
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import BudgetPeriod, Job

RESERVED: Final = (Job.reserved_pusd, Job.budget_ids)  # columns that ``reservation`` reads


class Hold(NamedTuple):
    """What a request reserves, in picodollars, and in which periods of which budgets."""

    amount_pusd: int
    periods: tuple[Period, ...]

    @property
    def ids(self) -> str:
        """As a job's row keeps them."""
        return " ".join(period.id for period in self.periods)


class Reservation(NamedTuple):
    """What a job has reserved; ``budget_ids`` are parted by blanks."""

    amount_pusd: int
    budget_ids: str


class Standing(NamedTuple):
    """A budget in its present period, in picodollars."""

    budget: Budget
    period: Period
    spent_pusd: int
    reserved_pusd: int

    @property
    def left_pusd(self) -> int:
        """What may still be reserved; below 0 when charges were higher than was reserved."""
        return self.period.limit_pusd - self.spent_pusd - self.reserved_pusd


def reserve(
    connection: Connection, holds: Mapping[str, Hold], *, is_sqlite: bool, now_ms: int
) -> dict[str, BudgetExceeded]:
    """Reserve what new jobs may cost, in the order given; returns those that do not fit.

    A job fits when in every one of its budgets what is spent, reserved and its own amount is no
    more than the limit. The rows stay locked until the commit, so that nobody takes the same money.
    """
    periods = {period.id: period for hold in holds.values() for period in hold.periods}
    used = {key: _lock(connection, periods[key], is_sqlite) for key in sorted(periods)}
    taken: Counter[str] = Counter()
    refused: dict[str, BudgetExceeded] = {}
    for job_id, hold in holds.items():
        full = [p for p in hold.periods if used[p.id] + hold.amount_pusd > p.limit_pusd]
        if full:
            refused[job_id] = _refusal(full, used, hold.amount_pusd, now_ms)
            continue
        for period in hold.periods:
            used[period.id] += hold.amount_pusd
            taken[period.id] += hold.amount_pusd
    _add(connection, taken, Counter())
    return refused


def reservation(row: Any) -> Reservation | None:
    """What the job of a row with the columns of ``RESERVED`` has reserved; None: nothing."""
    return None if row.budget_ids is None else Reservation(row.reserved_pusd, row.budget_ids)


def release(connection: Connection, ended: Iterable[tuple[Reservation | None, int]]) -> None:
    """Let go of what jobs that have just ended had reserved, and count what they were charged.

    Once for each end of a job. Without any reservation this is no statement.
    """
    freed: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    for held, charged_pusd in ended:
        for key in held.budget_ids.split() if held else ():
            freed[key] -= held.amount_pusd if held else 0
            spent[key] += charged_pusd
    _add(connection, freed, spent)


def release_all(connection: Connection, ended: Iterable[Any]) -> None:
    """The same for rows with the columns of ``RESERVED`` whose jobs ended without a charge."""
    release(connection, ((reservation(row), 0) for row in ended))


def reserve_again(connection: Connection, retried: Iterable[Any]) -> None:
    """Reserve for jobs that an operator retries, in their old periods, whatever is left there."""
    taken: Counter[str] = Counter()
    for held in filter(None, map(reservation, retried)):
        for key in held.budget_ids.split():
            taken[key] += held.amount_pusd
    _add(connection, taken, Counter())


def standings(database: Database, budgets: Sequence[Budget], now_ms: int) -> list[Standing]:
    """How budgets stand in their present periods, in the order given."""
    periods = [budget.period(now_ms) for budget in budgets]
    columns = (BudgetPeriod.id, BudgetPeriod.spent_pusd, BudgetPeriod.reserved_pusd)
    query = select(*columns).where(BudgetPeriod.id.in_([period.id for period in periods]))
    with database.read() as connection:
        found = {row.id: (row.spent_pusd, row.reserved_pusd) for row in connection.execute(query)}
    return [
        Standing(budget, period, *found.get(period.id, (0, 0)))
        for budget, period in zip(budgets, periods, strict=True)
    ]


def _lock(connection: Connection, period: Period, is_sqlite: bool) -> int:
    """Make the row of a period, or lock it; returns what is spent and reserved in it."""
    statement = (sqlite_insert if is_sqlite else postgresql_insert)(BudgetPeriod).values(
        id=period.id,
        tenant=period.tenant,
        workflow=period.workflow,
        per=period.per,
        starts_ms=period.starts_ms,
        ends_ms=period.ends_ms,
        limit_pusd=period.limit_pusd,
        reserved_pusd=0,
        spent_pusd=0,
    )
    row = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_={"limit_pusd": statement.excluded.limit_pusd}
        ).returning(BudgetPeriod.spent_pusd, BudgetPeriod.reserved_pusd)
    ).one()
    return int(row.spent_pusd + row.reserved_pusd)


def _add(connection: Connection, reserved: Counter[str], spent: Counter[str]) -> None:
    keys = sorted(reserved.keys() | spent.keys())
    if not keys:
        return
    connection.execute(
        update(BudgetPeriod)
        .where(BudgetPeriod.id == bindparam("key"))
        .values(
            reserved_pusd=BudgetPeriod.reserved_pusd + bindparam("reserved"),
            spent_pusd=BudgetPeriod.spent_pusd + bindparam("spent"),
        ),
        [{"key": key, "reserved": reserved[key], "spent": spent[key]} for key in keys],
        execution_options={"synchronize_session": None},
    )


def _refusal(
    full: Sequence[Period], used: Mapping[str, int], amount_pusd: int, now_ms: int
) -> BudgetExceeded:
    """Names the budget in which the request never fits, else the one that renews last."""
    period = max(full, key=lambda each: (amount_pusd > each.limit_pusd, each.ends_ms))
    left = _usd(max(0, period.limit_pusd - used[period.id]))
    renews = clock.to_iso(period.ends_ms)
    advice = (
        "it never fits: lower max_tokens, or raise the budget"
        if amount_pusd > period.limit_pusd
        else f"the budget renews at {renews}; wait until then, or lower max_tokens"
    )
    return BudgetExceeded(
        f"the budget of {period.label} has {left} USD left, and this request may cost "
        f"{_usd(amount_pusd)} USD; {advice}",
        budget=period.label,
        renews_ms=period.ends_ms,
        retry_after_s=-(-(period.ends_ms - now_ms) // 1000),
    )


def _usd(picodollars: int) -> str:
    return money.usd_text(money.to_usd(picodollars))
