"""The meter books every nanosecond exactly once, and fairly."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from penstock_shared.money import NANOSECONDS_PER_HOUR, cost_of
from penstock_workers.engine.meter import Meter


class Step(NamedTuple):
    elapsed_ns: int
    held: dict[str, int]
    closed: list[str]


requests = st.sampled_from(["a", "b", "c", "d"])
steps = st.lists(
    st.builds(
        Step,
        st.integers(0, 10**12),
        st.dictionaries(requests, st.integers(0, 40_000), max_size=4),
        st.lists(requests, max_size=3),
    )
)
prices = st.integers(0, 10**14)


@given(prices, st.integers(0, 10**18), steps)
def test_any_interleaving_books_exactly_price_times_time(
    price: int, start: int, history: list[Step]
) -> None:
    meter, now, taken = Meter(price, start), start, 0
    for step in history:
        now += step.elapsed_ns
        meter.advance(now, step.held)
        amounts = [meter.close(request) for request in step.closed]
        assert all(amount >= 0 for amount in amounts)
        taken += sum(amounts)
    taken += sum(meter.close(request) for request in "abcd")
    assert taken + meter.idle == meter.paid == cost_of(price, now - start)


@given(prices, st.integers(1, 40_000), st.lists(st.integers(0, 10**12), min_size=1))
def test_a_request_that_is_alone_pays_for_everything(
    price: int, tokens: int, spans: list[int]
) -> None:
    meter, now = Meter(price, 0), 0
    for span in spans:
        now += span
        meter.advance(now, {"alone": tokens})
    assert meter.close("alone") == cost_of(price, now)
    assert meter.idle == 0


@given(prices, st.integers(1, 40_000), st.integers(0, 10**13))
def test_equal_requests_pay_the_same_to_one_unit(price: int, tokens: int, span: int) -> None:
    meter = Meter(price, 0)
    meter.advance(span, dict.fromkeys("abcd", tokens))
    amounts = [meter.close(request) for request in "abcd"]
    assert max(amounts) - min(amounts) <= 1


@given(prices, st.integers(1, 40_000), st.integers(0, 10**13))
def test_twice_the_tokens_pay_twice_to_one_unit(price: int, tokens: int, span: int) -> None:
    meter = Meter(price, 0)
    meter.advance(span, {"short": tokens, "long": 2 * tokens})
    assert abs(meter.close("long") - 2 * meter.close("short")) <= 2


def test_time_without_requests_is_idle() -> None:
    meter = Meter(3_600, 0)
    meter.advance(NANOSECONDS_PER_HOUR, {})
    assert (meter.idle, meter.paid) == (3_600, 3_600)


def test_requests_that_hold_no_tokens_yet_pay_nothing() -> None:
    meter = Meter(3_600, 0)
    meter.advance(NANOSECONDS_PER_HOUR, {"waiting": 0})
    assert meter.close("waiting") == 0
    assert meter.idle == 3_600


def test_a_closed_request_starts_from_nothing_when_its_id_comes_again() -> None:
    meter = Meter(3_600, 0)
    meter.advance(NANOSECONDS_PER_HOUR, {"a": 1})
    assert meter.close("a") == 3_600
    assert meter.close("a") == 0
