"""Budgets: what a tenant, a workflow or everybody may spend in a day or a month.

Pure: which budgets a request falls under, and from when to when their periods last. What was
spent and reserved is in the ledger.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from penstock_shared import clock, money

_NEXT_MONTH = timedelta(days=31)
_MOST_USD = 9_000_000  # what a column of picodollars can hold
_Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Period(NamedTuple):
    """One day or month of a budget: from ``starts_ms`` until before ``ends_ms``."""

    id: str  # the same wherever it is computed
    label: str
    tenant: str | None
    workflow: str | None
    per: str
    starts_ms: int
    ends_ms: int
    limit_pusd: int


class Budget(BaseModel):
    """What may be spent per day or month. Without a tenant or workflow it is for all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: _Label | None = None
    workflow: _Label | None = None
    usd: Decimal = Field(ge=0, le=_MOST_USD, description="USD per period")
    per: Literal["day", "month"]
    timezone: str = Field("UTC", description="whose midnight begins a period: Europe/Berlin")

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            raise ValueError(f"there is no timezone {name!r}; write UTC or Europe/Berlin") from None
        return name

    @property
    def key(self) -> tuple[str | None, str | None, str]:
        """What tells budgets apart."""
        return self.tenant, self.workflow, self.per

    @property
    def label(self) -> str:
        """As errors and lists name it."""
        whose = [] if self.tenant is None else [f"tenant {self.tenant!r}"]
        whose += [] if self.workflow is None else [f"workflow {self.workflow!r}"]
        amount = money.usd_text(self.usd)
        return f"{', '.join(whose) or 'everybody'} ({amount} USD per {self.per})"

    def covers(self, tenant: str, workflow: str | None) -> bool:
        """Whether a request of this tenant and workflow is paid from it."""
        return self.tenant in {None, tenant} and self.workflow in {None, workflow}

    def period(self, now_ms: int) -> Period:
        """The day or month in which a moment lies, in the budget's timezone."""
        zone = ZoneInfo(self.timezone)
        today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
        first = datetime(today.year, today.month, 1 if self.per == "month" else today.day)
        after = first + (timedelta(days=1) if self.per == "day" else _NEXT_MONTH)
        after = after.replace(day=1) if self.per == "month" else after
        # Local midnights: a day with a change of the clock has 23 or 25 hours.
        starts, ends = (clock.from_datetime(day.replace(tzinfo=zone)) for day in (first, after))
        return Period(
            _digest(*self.key, starts),
            self.label,
            self.tenant,
            self.workflow,
            self.per,
            starts,
            ends,
            money.from_usd(self.usd),
        )


def check_apart(budgets: Iterable[Budget]) -> None:
    """Raise ValueError when two budgets are for the same."""
    seen: set[tuple[str | None, str | None, str]] = set()
    for budget in budgets:
        if budget.key in seen:
            raise ValueError(f"there are two budgets for {budget.label}; leave one out")
        seen.add(budget.key)


def _digest(*key: str | int | None) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
