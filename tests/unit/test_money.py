"""Money is whole picodollars, and no sum of it ever rounds."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_shared import money

picodollars = st.integers(-(2**63), 2**63 - 1)


@given(picodollars)
def test_dollars_and_back_is_the_same_amount(amount: int) -> None:
    assert money.from_usd(money.to_usd(amount)) == amount


@given(picodollars)
def test_the_text_of_an_amount_is_plain_and_exact(amount: int) -> None:
    text = money.usd_text(money.to_usd(amount))
    assert "e" not in text.lower()
    assert text == "0" or not text.endswith(".")
    assert money.from_usd(Decimal(text)) == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (1, "0.000000000001"), (10**12, "1"), (10**13, "10"), (-(5 * 10**11), "-0.5")],
)
def test_an_amount_is_written_as_people_write_it(amount: int, text: str) -> None:
    assert money.usd_text(money.to_usd(amount)) == text


@pytest.mark.parametrize(
    ("dollars", "amount"),
    [("1.20", 1_200_000_000_000), ("0.0000000000005", 0), ("0.0000000000015", 2)],
)
def test_fractions_below_a_picodollar_round_half_to_even(dollars: str, amount: int) -> None:
    assert money.from_usd(Decimal(dollars)) == amount


@given(st.integers(0, 10**14), st.lists(st.integers(0, 10**16), min_size=1))
def test_spans_that_meet_add_up_to_the_cost_of_the_whole(price: int, marks: list[int]) -> None:
    ends = sorted(marks)
    starts = [0, *ends[:-1]]
    spans = (
        money.cost_of(price, end) - money.cost_of(price, start)
        for start, end in zip(starts, ends, strict=True)
    )
    assert sum(spans) == money.cost_of(price, ends[-1])


def test_an_hour_costs_the_price_of_an_hour() -> None:
    assert money.cost_of(1_234_567, money.NANOSECONDS_PER_HOUR) == 1_234_567
