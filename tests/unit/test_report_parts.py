"""The parts of a report: percentiles, local time, currencies, savings."""

from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_producer.report import local
from penstock_producer.report.saved import ENOUGH, Saving, savings_of
from penstock_producer.report.sections import Currency, Kind, fact, shown
from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger.reporting.facts import Offset
from penstock_shared.ledger.reporting.lines import Line, percentiles
from penstock_shared.ledger.reporting.overview import Hits
from penstock_shared.ledger.reporting.read import Findings, Span
from penstock_shared.ledger.reporting.savings import Manner, Work

NOTHING = Findings(None, Line("", 0, 0, 0, 0, 0, None), {}, [], [], [], [], [], [], {}, [])
LARGE = Work("large", ENOUGH, 1_000, 5_000)
SMALL = Work("small", 100, 2_000, 1_000)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_percentiles_of_buckets_are_nearest_ranks(sizes: list[int]) -> None:
    buckets = {number: (size, size * number) for number, size in enumerate(sizes)}
    costs = sorted(number for number, size in enumerate(sizes) for _ in range(size))
    expected = [costs[-(-len(costs) * percent // 100) - 1] for percent in (50, 95, 99)]
    assert list(percentiles(buckets)) == expected


def test_a_bucket_stands_for_its_mean() -> None:
    assert percentiles({5: (3, 10)}) == (3, 3, 3)


def test_a_span_has_an_offset_for_each_side_of_a_change_of_clocks() -> None:
    hour = 3_600_000
    spring, autumn = 1_774_746_000_000, 1_792_890_000_000  # both at 01:00 UTC
    zone = ZoneInfo("Europe/Berlin")
    whole_year = Span(spring - 90 * 24 * hour, autumn + 24 * hour)
    assert local.offsets(whole_year, zone) == [
        Offset(whole_year.first_ms, hour),
        Offset(spring, 2 * hour),
        Offset(autumn, hour),
    ]
    assert local.offsets(Span(spring, spring), zone) == [Offset(spring, 2 * hour)]


def test_moments_are_local_unless_they_say_otherwise() -> None:
    zone = ZoneInfo("Asia/Ho_Chi_Minh")
    utc = local.moment("2026-11-23T00:00:00Z", "--since", zone)
    assert utc is not None
    assert local.moment("2026-11-23", "--since", zone) == utc - 7 * 3_600_000
    assert local.local_text(utc, zone) == "2026-11-23 07:00:00"
    assert local.moment(None, "--since", zone) is None
    with pytest.raises(InvalidRequest, match="--since"):
        local.moment("soon", "--since", zone)


@given(st.integers(-(10**19), 10**19), st.decimals("0.000000000001", "1000000", places=12))
def test_amounts_are_exact_in_every_currency(pusd: int, rate: Decimal) -> None:
    exact = Currency("EUR", rate).exact(pusd)
    assert Fraction(exact) == Fraction(pusd) * Fraction(rate) / 10**12
    assert "e" not in exact.lower()


@pytest.mark.parametrize(
    ("pusd", "text"),
    [
        (0, "0.00"),
        (1_234_567 * 10**12, "1,234,567"),
        (12_345 * 10**12, "12,345.00"),
        (10**12, "1.00"),
        (123_456_000_000, "0.123"),
        (600_000_000_000, "0.600"),
        (13_649_999, "0.0000136"),
        (1, "0.000000000001"),
        (-5 * 10**9, "-0.005"),
    ],
)
def test_amounts_for_the_eye_keep_three_digits(pusd: int, text: str) -> None:
    assert Currency().short(pusd) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0, "0"), (999, "999.00"), (1_000, "1k"), (215_290, "215k"), (20_264_640, "20.3M"),
     (-3_210_000_000, "-3.21bn")],
)  # fmt: skip
def test_amounts_are_brief_where_there_is_little_room(usd: int, text: str) -> None:
    assert Currency().brief(usd * 10**12) == text


def test_cells_are_shown_by_their_kind() -> None:
    currency = Currency("EUR", Decimal("0.5"))
    assert shown(None, Kind.MONEY, currency) == "-"
    assert shown(2 * 10**12, Kind.MONEY, currency) == "1.00"
    assert shown(Fraction(1, 3), Kind.SHARE, currency) == "33.3%"
    assert shown(12_345, Kind.COUNT, currency) == "12,345"
    assert shown(Fraction(5, 2), Kind.HOURS, currency) == "2.5"
    assert fact(Fraction(1, 3), Kind.SHARE, currency) == 0.333333
    assert fact(2 * 10**12, Kind.MONEY, currency) == "1"
    assert fact(None, Kind.MONEY, currency) is None


def savings(findings: Findings) -> dict[tuple[str, str], Saving]:
    found = savings_of(findings, "large", lambda pusd: f"{pusd} p")
    return {(saving.what, saving.tier): saving for saving in found}


def test_what_nobody_measured_is_left_open() -> None:
    found = savings(NOTHING._replace(work=[SMALL], all_work=[SMALL]))
    for key in (("routing", ""), ("speculation", ""), ("quantization", "")):
        assert found[key].saved_pusd is None
        assert found[key].basis.startswith("not measured")


def test_too_few_jobs_of_the_largest_tier_are_no_price() -> None:
    few = LARGE._replace(requests=ENOUGH - 1)
    findings = NOTHING._replace(work=[few, SMALL], all_work=[few, SMALL])
    assert savings(findings)["routing", ""].saved_pusd is None


def test_routing_saves_what_the_same_tokens_cost_on_the_largest_tier() -> None:
    found = savings(NOTHING._replace(work=[SMALL], all_work=[LARGE, SMALL]))["routing", "small"]
    assert found.saved_pusd == 2_000 * 5 - 1_000
    assert found.requests == 100
    for words in ("assumed", "tier large", "5000 p per 1,000 tokens", f"{ENOUGH} jobs"):
        assert words in found.basis


def test_a_hit_has_two_prices_and_each_says_which() -> None:
    hits = Hits("small", 4, 40, 30, 1)
    found = savings(NOTHING._replace(hits=[hits], all_work=[SMALL], comparisons={"small": 7}))
    assert found["cache, then", "small"].saved_pusd == 30
    assert "1 of them" in found["cache, then", "small"].basis
    assert found["cache, now", "small"].saved_pusd == 20
    assert "500 p per 1,000 tokens" in found["cache, now", "small"].basis
    assert found["cache, comparisons", "small"].saved_pusd == -7
    assert savings(NOTHING._replace(hits=[hits]))["cache, now", "small"].saved_pusd is None


def test_a_manner_is_compared_with_the_same_model_without_it() -> None:
    plain = Manner("small", "m", False, False, ENOUGH, 1_000, 3_000)
    guessing = Manner("small", "m", False, True, ENOUGH, 500, 1_000)
    found = savings(NOTHING._replace(manners=[plain, guessing]))
    assert found["speculation", "small"].saved_pusd == 500
    assert found["quantization", ""].saved_pusd is None
    for other in (
        guessing._replace(model="n"),
        guessing._replace(tier="large"),
        guessing._replace(is_quantized=True),
        guessing._replace(requests=ENOUGH - 1),
    ):
        assert (
            savings(NOTHING._replace(manners=[plain, other]))["speculation", ""].saved_pusd is None
        )
