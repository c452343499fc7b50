"""What a request may cost: measured where the ledger has figures, else assumed and said."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock_shared.ledger import estimating, settling
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.estimating import Estimator, Price, measured_prices
from penstock_shared.settings import Settings
from penstock_shared.words import JobState, Source
from tests.budgets import a_budget, held
from tests.examples import (
    ACCOUNT,
    NOW,
    Clock,
    a_draft,
    accept_some,
    an_answer,
    claim_some,
    succeeded,
)

PROMPT = "ab đ"  # five bytes
Make = Callable[..., Settings]


def answered(database: Database, *costs: int, now_ms: int = NOW, **answer: Any) -> None:
    """Each has 7 + 5 tokens, unless the answer says something else."""
    claims = claim_some(database, accept_some(database, len(costs)))
    ends = [
        succeeded(claim, cost, answer=an_answer(**answer))
        for claim, cost in zip(claims, costs, strict=True)
    ]
    settling.settle(database, ACCOUNT, ends, now_ms)


def estimate_of(estimator: Estimator, **fields: Any) -> int:
    [draft] = estimator.with_holds([a_draft(PROMPT, max_tokens=10, **fields)], NOW)
    assert draft.hold is not None
    return draft.hold.amount_pusd


def test_a_price_rounds_up_to_whole_picodollars() -> None:
    assert [Price(10, 4).of(tokens) for tokens in (0, 1, 2, 4)] == [0, 3, 5, 10]
    assert Price(0, 5).of(9) == 0


def test_without_figures_it_is_the_workers_price_at_the_assumed_speed(
    database: Database, make_settings: Make
) -> None:
    estimator = Estimator(make_settings(budgets=[a_budget(1)]), database)
    # 2 tokens of prompt and 10 of answer, at 0.40 and 4.00 USD an hour and 50 tokens a second.
    assert estimate_of(estimator) == -(-400_000_000_000 * 12 // 180_000)
    assert estimate_of(estimator, tier="large") == -(-4_000_000_000_000 * 12 // 180_000)


def test_with_figures_it_is_the_mean_of_what_the_tiers_engine_charged(
    database: Database, make_settings: Make
) -> None:
    answered(database, 1_000, 200)  # 24 tokens
    answered(database, 0, source=Source.EXACT)
    estimator = Estimator(make_settings(budgets=[a_budget(1)]), database)
    assert estimate_of(estimator) == 1_200 * 12 / 24
    assert estimate_of(estimator, tier="large") > 10**6


def test_figures_are_of_jobs_with_an_answer_of_the_engine(database: Database) -> None:
    assert measured_prices(database) == {}
    answered(database, 0, source=Source.JOINED)
    [claim] = claim_some(database, accept_some(database))
    failed = settling.Settlement(claim, JobState.FAILED, 500, error="an error")
    settling.settle(database, ACCOUNT, [failed], NOW)
    assert measured_prices(database) == {}
    answered(database, 700)
    assert measured_prices(database) == {"small": Price(700, 12)}


def test_figures_are_the_latest(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(database, 10**9, now_ms=NOW)
    answered(database, 20, 40, now_ms=NOW + 1)
    monkeypatch.setattr(estimating, "_LAST_CHARGES", 2)
    assert measured_prices(database) == {"small": Price(60, 24)}


def test_figures_are_read_once_a_minute_and_kept_when_they_are_gone(
    database: Database, make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, reads = Clock(0.0), []
    found: list[dict[str, Price]] = [{"small": Price(24, 12)}, {}]

    def read(_: Database) -> dict[str, Price]:
        reads.append(seconds.now)
        return found[min(len(reads), 2) - 1]

    monkeypatch.setattr(estimating, "measured_prices", read)
    estimator = Estimator(make_settings(budgets=[a_budget(1)]), database, seconds)
    for moment in (0.0, 59.0, 61.0, 100.0):
        seconds.now = moment
        assert estimate_of(estimator) == 24
    assert reads == [0.0, 61.0]


def test_who_falls_under_no_budget_is_not_estimated(
    database: Database, make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Database) -> dict[str, Price]:
        raise AssertionError

    monkeypatch.setattr(estimating, "measured_prices", fail)
    draft = a_draft(PROMPT, tenant="other")
    for budgets in ([], [a_budget(1, tenant="acme")]):
        estimator = Estimator(make_settings(budgets=budgets), database)
        assert estimator.with_holds([draft], NOW) == [draft]


def test_a_hold_is_in_all_budgets_that_cover_the_request(
    database: Database, make_settings: Make
) -> None:
    budgets = [a_budget(1, tenant="acme"), a_budget(1, workflow="w"), a_budget(1, tenant="else")]
    estimator = Estimator(make_settings(budgets=budgets), database)
    [draft] = estimator.with_holds([a_draft(tenant="acme", workflow="w")], NOW)
    expected = held(1, *budgets[:2]).hold
    assert draft.hold is not None
    assert expected is not None
    assert draft.hold.periods == expected.periods


def test_an_embedding_reserves_nothing(database: Database, make_settings: Make) -> None:
    settings = make_settings(budgets=[a_budget(1)])
    [draft] = Estimator(settings, database).with_holds([a_draft(PROMPT, kind="embedding")], NOW)
    assert draft.hold is None
