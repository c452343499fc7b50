"""What a request may cost, before it runs: the tier's price of a token, times its tokens.

The tokens are the prompt's, estimated from its bytes, and all of ``max_tokens``. The price of a
token is the mean of what engines charged lately; without figures, a worker's price at an assumed
speed. No estimate is a promise: what a job is charged is what the meter says.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import func, select

from penstock_shared.budgets import Budget, Period
from penstock_shared.ledger.accepting import Draft
from penstock_shared.ledger.budgeting import Hold
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Charge, JobResult
from penstock_shared.settings import Settings
from penstock_shared.words import RequestKind, Source

ASSUMED_TOKENS_PER_S: Final = 50  # of a worker with one request, prompt and answer alike
_LAST_CHARGES: Final = 5_000
_FRESH_S: Final = 60.0


class Price(NamedTuple):
    """What so many tokens were charged, in picodollars."""

    charged_pusd: int
    tokens: int

    def of(self, tokens: int) -> int:
        """What other tokens cost at this price, in whole picodollars, rounded up."""
        return -(-self.charged_pusd * tokens // self.tokens)


class Estimator:
    """Puts budgets and an estimate on drafts. Without budgets it reads nothing."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._database = database
        self._seconds = seconds
        self._prices: dict[str, Price] = {}
        self._read_at = -math.inf

    def with_holds(self, drafts: Sequence[Draft], now_ms: int) -> list[Draft]:
        """The drafts, those that fall under budgets with what they reserve there."""
        budgets = self._settings.budgets
        if not budgets:
            return list(drafts)
        present = [(budget, budget.period(now_ms)) for budget in budgets]
        return [self._with_hold(draft, present) for draft in drafts]

    def price(self, tier: str) -> Price:
        """The tier's price of tokens: measured within the last minute or so, else assumed."""
        if self._seconds() - self._read_at > _FRESH_S:
            self._prices = {**self._prices, **measured_prices(self._database)}
            self._read_at = self._seconds()
        per_hour = self._settings.tiers[tier].price_per_hour_pusd
        return self._prices.get(tier) or Price(per_hour, 3600 * ASSUMED_TOKENS_PER_S)

    def _with_hold(self, draft: Draft, present: Sequence[tuple[Budget, Period]]) -> Draft:
        request = draft.request
        periods = tuple(
            period for budget, period in present if budget.covers(request.tenant, request.workflow)
        )
        if not periods or request.kind is RequestKind.EMBEDDING:  # which is not charged
            return draft
        prompt = len(request.text.encode()) / self._settings.routing.bytes_per_token
        tokens = math.ceil(prompt) + request.sampling.max_tokens
        return draft._replace(hold=Hold(self.price(draft.route.tier).of(tokens), periods))


def measured_prices(database: Database) -> dict[str, Price]:
    """What tokens were charged, by tier, in those of the last 5,000 charges that an engine made."""
    last = (
        select(Charge.job_id, Charge.tier, Charge.amount_pusd)
        .order_by(Charge.created_ms.desc())
        .limit(_LAST_CHARGES)
        .subquery()
    )
    tokens = func.sum(JobResult.prompt_tokens + JobResult.completion_tokens)
    query = (
        select(last.c.tier, func.sum(last.c.amount_pusd), tokens)
        .join(JobResult, JobResult.job_id == last.c.job_id)
        .where(JobResult.source == Source.ENGINE.value)
        .group_by(last.c.tier)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    return {tier: Price(int(charged), int(count)) for tier, charged, count in rows if count}
