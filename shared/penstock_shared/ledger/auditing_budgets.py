"""Whether budgets say what the charges and the open jobs of their periods add up to."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, case, func, select

from penstock_shared import clock
from penstock_shared.ledger.schema import BudgetPeriod, Charge, Job
from penstock_shared.words import JobState

_OPEN: Final = Job.state.in_([state.value for state in JobState if not state.is_terminal])


def budget_problems(connection: Connection, starts: list[Any]) -> Iterator[str]:
    """What is wrong with budgets, each in one line. ``starts`` are conditions for their periods."""
    periods = connection.execute(
        select(BudgetPeriod.__table__).where(*starts).order_by(BudgetPeriod.starts_ms)
    ).all()
    if not periods:
        return
    spent, reserved = _added_up(connection)
    for period in periods:
        for name, says, adds_up_to in (
            ("spent", period.spent_pusd, spent[period.id]),
            ("reserved", period.reserved_pusd, reserved[period.id]),
        ):
            if says != adds_up_to:
                yield (
                    f"{_name(period)}: {name} is {says} picodollars, and its jobs add up to "
                    f"{adds_up_to}"
                )


def _added_up(connection: Connection) -> tuple[Counter[str], Counter[str]]:
    """What jobs were charged, and what open ones have reserved, by the id of the period."""
    query = (
        select(
            Job.budget_ids,
            func.coalesce(func.sum(Charge.amount_pusd), 0).label("spent"),
            func.sum(case((_OPEN, Job.reserved_pusd), else_=0)).label("reserved"),
        )
        .outerjoin(Charge, Charge.job_id == Job.id)
        .where(Job.budget_ids.is_not(None))
        .group_by(Job.budget_ids)
    )
    spent: Counter[str] = Counter()
    reserved: Counter[str] = Counter()
    for row in connection.execute(query):
        for key in row.budget_ids.split():
            spent[key] += int(row.spent)
            reserved[key] += int(row.reserved)
    return spent, reserved


def _name(period: Any) -> str:
    of_what = {"tenant": period.tenant, "workflow": period.workflow}
    whose = [f"{word} {value!r}" for word, value in of_what.items() if value is not None]
    begin = clock.to_iso(period.starts_ms)
    return f"the budget of {', '.join(whose) or 'everybody'} for the {period.per} from {begin}"
