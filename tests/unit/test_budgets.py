"""A budget knows whom it is for, and from when to when its day or month lasts."""

import copy
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock_shared import clock
from penstock_shared.budgets import Budget
from penstock_shared.errors import BudgetExceeded, SettingsError
from penstock_shared.settings import load_settings

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Ho_Chi_Minh",
    "America/Havana",  # the clock changes at midnight
    "Africa/Cairo",  # and here there is no such midnight
    "Pacific/Apia",  # a whole day was left out
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
)
moments = st.integers(1_000_000_000_000, 4_000_000_000_000)


def a_budget(**fields: Any) -> Budget:
    return Budget(**{"usd": "5.00", "per": "day", **fields})


def ms(*moment: int, zone: str = "UTC") -> int:
    return clock.from_datetime(datetime(*moment, tzinfo=ZoneInfo(zone)))  # type: ignore[arg-type, misc]


@given(now=moments, zone=st.sampled_from(ZONES), per=st.sampled_from(("day", "month")))
@example(now=1_018_166_400_000, zone="America/Havana", per="day")  # it began at one o'clock
def test_periods_meet_without_a_gap_and_begin_at_a_local_midnight(
    now: int, zone: str, per: str
) -> None:
    budget = a_budget(timezone=zone, per=per)
    period = budget.period(now)
    assert period.starts_ms <= now < period.ends_ms
    assert budget.period(period.starts_ms) == period == budget.period(period.ends_ms - 1)
    after = budget.period(period.ends_ms)
    assert after.starts_ms == period.ends_ms
    assert after.id != period.id
    # Not a second less on the wall: where the clock changes at midnight, that is the same day.
    before, first = (
        datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo(zone))
        for seconds in (period.starts_ms / 1000 - 1, period.starts_ms / 1000)
    )
    assert first.date() != before.date()
    if per == "month":
        assert first.day == 1


def test_a_day_with_a_change_of_the_clock_has_23_or_25_hours() -> None:
    budget = a_budget(timezone="Europe/Berlin")
    spring, autumn = budget.period(ms(2026, 3, 29, 12)), budget.period(ms(2026, 10, 25, 12))
    assert (spring.ends_ms - spring.starts_ms) // 3_600_000 == 23
    assert (autumn.ends_ms - autumn.starts_ms) // 3_600_000 == 25


def test_a_month_ends_with_its_last_day_in_its_own_timezone() -> None:
    period = a_budget(per="month", timezone="Asia/Ho_Chi_Minh").period(ms(2026, 1, 31, 18))
    assert period.starts_ms == ms(2026, 2, 1, zone="Asia/Ho_Chi_Minh")
    assert period.ends_ms == ms(2026, 3, 1, zone="Asia/Ho_Chi_Minh")


@pytest.mark.parametrize(
    ("fields", "covered"),
    [
        ({}, {"acme/nightly", "acme/None", "other/nightly", "other/None"}),
        ({"tenant": "acme"}, {"acme/nightly", "acme/None"}),
        ({"workflow": "nightly"}, {"acme/nightly", "other/nightly"}),
        ({"tenant": "acme", "workflow": "nightly"}, {"acme/nightly"}),
    ],
)
def test_a_budget_covers_its_tenant_and_its_workflow(
    fields: dict[str, str], covered: set[str]
) -> None:
    pairs = [(t, w) for t in ("acme", "other") for w in ("nightly", None)]
    assert {f"{t}/{w}" for t, w in pairs if a_budget(**fields).covers(t, w)} == covered


def test_budgets_of_the_same_name_in_other_columns_are_not_the_same() -> None:
    whose: tuple[dict[str, str], ...] = (
        {},
        {"tenant": "a"},
        {"workflow": "a"},
        {"tenant": "a", "workflow": "a"},
        {"tenant": "a", "per": "month"},
    )
    assert len({a_budget(**fields).period(ms(2026, 1, 1)).id for fields in whose}) == 5


def test_a_label_says_whose_it_is_and_how_much() -> None:
    assert a_budget(tenant="acme", workflow="nightly").label == (
        "tenant 'acme', workflow 'nightly' (5 USD per day)"
    )
    assert a_budget(per="month", usd="0.1").label == "everybody (0.1 USD per month)"


def test_budgets_are_read_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("penstock.toml").write_text(
        '[[budgets]]\ntenant = "acme"\nusd = "5.00"\nper = "day"\ntimezone = "Europe/Berlin"\n'
        '[[budgets]]\nworkflow = "nightly"\nusd = 100\nper = "month"\n',
        encoding="utf-8",
    )
    labels = [budget.label for budget in load_settings(tmp_path).budgets]
    assert labels == ["tenant 'acme' (5 USD per day)", "workflow 'nightly' (100 USD per month)"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('usd = 1\nper = "week"', "budgets.0.per"),
        ('usd = -1\nper = "day"', "budgets.0.usd"),
        ('usd = 10_000_000\nper = "day"', "budgets.0.usd"),
        ('usd = 1\nper = "day"\ntimezone = "Mars/Base"', "no timezone 'Mars/Base'"),
        ('usd = 1\nper = "day"\ntenat = "acme"', "did you mean 'tenant'?"),
        ('usd = 1\nper = "day"\n[[budgets]]\nusd = 2\nper = "day"', "two budgets for everybody"),
    ],
)
def test_a_wrong_budget_is_refused_when_the_settings_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("penstock.toml").write_text(f"[[budgets]]\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as refusal:
        load_settings(tmp_path)
    assert said in refusal.value.message


def test_an_error_keeps_when_to_come_back_on_its_way_through_pickle_and_copy() -> None:
    error = BudgetExceeded("no", budget="acme", renews_ms=7, retry_after_s=3)
    for moved in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (moved.message, moved.budget, moved.renews_ms, moved.retry_after_s) == (
            "no",
            "acme",
            7,
            3,
        )
