"""The meter books every nanosecond exactly once, and fairly."""

from collections import defaultdict
from fractions import Fraction
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from penstock_shared.money import NANOSECONDS_PER_HOUR, cost_of
from penstock_workers.engine.meter import Meter


class Step(NamedTuple):
    elapsed_ns: int
    weights: dict[str, int]
    closed: list[str]


requests = st.sampled_from(["a", "b", "c", "d"])
spans = st.lists(st.integers(0, 10**12), min_size=1, max_size=50)
steps = st.lists(
    st.builds(
        Step,
        st.integers(0, 10**12),
        st.dictionaries(requests, st.integers(0, 10**12), max_size=4),
        st.lists(requests, max_size=3),
    )
)
prices = st.integers(0, 10**14)
weights = st.integers(0, 10**12)


@given(prices, st.integers(0, 10**18), steps)
def test_any_interleaving_books_exactly_price_times_time(
    price: int, start: int, history: list[Step]
) -> None:
    meter, now, taken = Meter(price, start), start, 0
    for step in history:
        now += step.elapsed_ns
        meter.advance(now, step.weights)
        amounts = [meter.close(request) for request in step.closed]
        assert all(amount >= 0 for amount in amounts)
        taken += sum(amounts)
        assert taken + meter.idle <= meter.paid
    taken += sum(meter.close(request) for request in "abcd")
    assert taken + meter.idle == meter.paid == cost_of(price, now - start)


@given(prices, steps)
def test_a_request_pays_its_share_of_every_step_to_the_last_picodollar(
    price: int, history: list[Step]
) -> None:
    """As exact fractions say; what was closed before leaves less than a picodollar behind."""
    meter, now, exact, closed = Meter(price, 0), 0, defaultdict(Fraction), 0
    for step in history:
        begin, now = now, now + step.elapsed_ns
        meter.advance(now, step.weights)
        amount = cost_of(price, now) - cost_of(price, begin)
        parts = step.weights if any(step.weights.values()) else dict.fromkeys(step.weights, 1)
        for request, weight in parts.items():
            exact[request] += Fraction(amount * weight, sum(parts.values()))
        for request in step.closed:
            assert -2 < meter.close(request) - exact.pop(request, Fraction(0)) < 2 + closed
            closed += 1


@given(prices, weights, spans)
def test_a_request_that_is_alone_pays_for_everything(
    price: int, weight: int, history: list[int]
) -> None:
    meter, now = Meter(price, 0), 0
    for span in history:
        now += span
        meter.advance(now, {"alone": weight})
    assert meter.close("alone") == cost_of(price, now)
    assert meter.idle == 0


@given(prices, st.lists(st.tuples(st.integers(0, 10**12), weights, weights)))
def test_equal_requests_pay_the_same(price: int, history: list[tuple[int, int, int]]) -> None:
    """Also beside another one, and however often a price cannot be divided evenly."""
    meter, now = Meter(price, 0), 0
    for span, weight, others in history:
        now += span
        meter.advance(now, {"a": weight, "other": others, "b": weight, "c": weight})
    assert len({meter.close(request) for request in "abc"}) == 1


@given(prices, st.lists(st.tuples(st.integers(0, 10**12), weights)))
def test_twice_the_weight_pays_twice(price: int, history: list[tuple[int, int]]) -> None:
    """To the last picodollar: an odd one cannot be twice anything."""
    meter, now = Meter(price, 0), 0
    for span, weight in history:
        now += span
        meter.advance(now, {"short": weight, "long": 2 * weight, "third": 1})
    assert 0 <= meter.close("long") - 2 * meter.close("short") <= 1


def test_time_without_requests_is_idle() -> None:
    meter = Meter(3_600, 0)
    meter.advance(NANOSECONDS_PER_HOUR, {})
    assert (meter.idle, meter.paid) == (3_600, 3_600)


def test_a_request_that_weighs_nothing_pays_nothing_beside_one_that_does() -> None:
    meter = Meter(3_600, 0)
    meter.advance(NANOSECONDS_PER_HOUR, {"waiting": 0, "running": 1})
    assert (meter.close("waiting"), meter.close("running"), meter.idle) == (0, 3_600, 0)


def test_requests_that_weigh_nothing_and_are_alone_share_the_time() -> None:
    meter = Meter(3_600, 0)
    meter.advance(NANOSECONDS_PER_HOUR, {"a": 0, "b": 0})
    assert (meter.close("a"), meter.close("b"), meter.idle) == (1_800, 1_800, 0)


def test_what_cannot_be_divided_is_idle_after_the_last_has_left() -> None:
    meter = Meter(1, 0)
    meter.advance(NANOSECONDS_PER_HOUR, dict.fromkeys("abc", 1))
    assert [meter.close(request) for request in "abc"] == [0, 0, 0]
    assert (meter.paid, meter.idle) == (1, 1)


def test_a_closed_request_starts_from_nothing_when_its_id_comes_again() -> None:
    meter = Meter(3_600, 0)
    meter.advance(NANOSECONDS_PER_HOUR, {"a": 1})
    assert meter.close("a") == 3_600
    assert meter.close("a") == 0
