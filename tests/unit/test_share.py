"""The foreground is slowed down by a factor at most, and the background never starves."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_workers.engine.share import Share

slowdowns = st.floats(1.05, 5)
times = st.floats(0.001, 10)  # seconds
NOISE = 1 + 1e-9


@pytest.mark.parametrize("slowdown", [1.0, 0.5, float("nan"), float("inf")])
def test_a_slowdown_is_more_than_one(slowdown: float) -> None:
    with pytest.raises(ValueError, match="more than 1"):
        Share(slowdown)


@given(slowdowns, times, times, st.lists(st.floats(1, 50), min_size=1, max_size=200))
def test_the_foreground_is_slowed_down_by_the_factor_at_most(
    slowdown: float, light_s: float, waited_s: float, costs: list[float]
) -> None:
    """All in all, up to the one step that is too long for its turn."""
    share = Share(slowdown)
    share.begin(waited_s)
    spent = waited_s
    for cost in costs:
        if share.next_is_full():
            share.book_full(light_s * cost)
            spent += light_s * cost
        else:
            share.book_light(light_s)
            spent += light_s
        longest = max(waited_s, light_s * max(costs))
        assert spent <= (slowdown * light_s * len(costs) + longest) * NOISE


@given(slowdowns, times, st.lists(st.tuples(times, times, st.booleans()), max_size=200))
def test_the_background_never_starves(
    slowdown: float, waited_s: float, history: list[tuple[float, float, bool]]
) -> None:
    """Light steps take at most T / (slowdown - 1) and one of them, after a full one of T."""
    share = Share(slowdown)
    share.begin(waited_s)
    last_full_s, light_s = waited_s, list[float]()
    for full, light, has_prompts in history:
        if share.next_is_full():
            share.book_full(full)
            last_full_s, light_s = full, []
        else:
            assert sum(light_s) * (slowdown - 1) <= last_full_s * NOISE
            share.book_light(light, has_prompts=has_prompts)
            light_s.append(light)


def test_light_steps_follow_a_full_one_until_they_have_paid_for_it() -> None:
    share = Share(1.5)
    share.begin(0.0)
    assert share.next_is_full()
    share.book_full(0.040)
    for _ in range(7):
        assert not share.next_is_full()
        share.book_light(0.010)
    assert not share.next_is_full()
    share.book_light(0.010)
    assert share.next_is_full()


def test_a_full_step_is_compared_with_what_a_light_one_takes() -> None:
    """40 ms instead of 10 are 25 too long at a factor of 1.5: five light steps pay for that."""
    share = Share(1.5)
    share.begin(0.001)
    share.book_light(0.010)
    share.book_full(0.040)
    decisions = []
    for _ in range(6):
        decisions.append(share.next_is_full())
        share.book_light(0.010)
    assert decisions == [False] * 5 + [True]


def test_where_full_steps_take_hardly_longer_all_are_full_but_a_look_now_and_then() -> None:
    share = Share(1.6)
    share.begin(0.001)
    share.book_light(0.010)
    decisions = []
    for _ in range(330):
        decisions.append(share.next_is_full())
        if decisions[-1]:
            share.book_full(0.015)
        else:
            share.book_light(0.010)
    assert decisions.count(False) == 10
    assert all(a or b for a, b in itertools.pairwise(decisions))


def test_a_look_finds_that_the_foreground_needs_less_now() -> None:
    share = Share(1.6)
    share.begin(0.001)
    share.book_light(0.010)
    while share.next_is_full():
        share.book_full(0.015)
    share.book_light(0.002)
    share.book_full(0.015)
    assert not share.next_is_full()


def test_prompts_of_the_foreground_do_not_pass_for_what_a_light_step_takes() -> None:
    share = Share(1.5)
    share.begin(0.001)
    share.book_light(0.500, has_prompts=True)
    assert share.next_is_full()
    share.book_full(0.040)
    assert not share.next_is_full()


def test_who_comes_during_a_long_step_has_waited_for_it() -> None:
    share = Share(1.5)
    share.begin(0.030)
    assert not share.next_is_full()
    share.book_light(0.060)
    assert share.next_is_full()


def test_a_step_that_nobody_in_the_foreground_could_use_gives_the_next_away() -> None:
    share = Share(1.5)
    share.begin(10.0)
    assert not share.next_is_full()
    share.forgive()
    assert share.next_is_full()


def test_a_full_step_under_way_is_expected_to_take_as_long_as_the_last() -> None:
    share = Share(1.5)
    share.begin(0.001)
    share.book_light(0.010)
    assert share.next_is_full(under_way=1)
    share.book_full(0.012)
    assert share.next_is_full(under_way=1)
    share.book_full(0.040)
    for _ in range(9):
        share.book_light(0.010)
    assert share.next_is_full()
    assert not share.next_is_full(under_way=1)
