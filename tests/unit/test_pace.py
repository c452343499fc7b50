"""A search in the cache never holds up an engine that could have answered meanwhile."""

from penstock_workers.pace import Pace


def a_pace(*, answer_s: float, search_s: float) -> Pace:
    """One that has seen a full engine answer ten lines, and a search for ten."""
    pace = Pace()
    pace.begun(16, 0.0, inside=4)
    pace.begun(16, 10 * answer_s, inside=10)
    pace.searched(10, 10 * search_s, 10 * answer_s)
    return pace


def test_an_engine_with_free_seats_waits_for_no_search() -> None:
    assert not Pace().allows(16, 0.0, ahead=-1)
    assert not a_pace(answer_s=1.0, search_s=0.001).allows(16, 11.0, ahead=0)


def test_the_first_search_is_tried() -> None:
    assert Pace().allows(16, 0.0, ahead=1)


def test_a_search_that_is_over_before_the_reserve_is_made() -> None:
    pace = a_pace(answer_s=0.010, search_s=0.002)
    assert pace.allows(16, 1.0, ahead=4)
    assert not pace.allows(16, 1.0, ahead=3)


def test_a_search_that_takes_longer_is_tried_again_later() -> None:
    pace = a_pace(answer_s=0.006, search_s=0.060)
    assert not pace.allows(16, 1.0, ahead=64)
    assert pace.allows(16, 301.0, ahead=64)


def test_the_pace_is_not_learned_from_an_engine_with_free_seats() -> None:
    pace = Pace()
    pace.begun(16, 0.0, inside=-40)
    pace.begun(16, 9.0, inside=2)
    pace.searched(16, 0.016, 9.0)
    assert not pace.allows(16, 9.0, ahead=50)


def test_an_engine_that_ran_empty_is_faster_than_it_was_thought_to_be() -> None:
    pace = a_pace(answer_s=1.0, search_s=0.006)
    assert pace.allows(16, 11.0, ahead=64)
    pace.begun(16, 11.0, inside=-60)  # it answered what was there, and more may have been
    pace.begun(16, 12.0, inside=4)
    pace.begun(16, 13.0, inside=-80)
    assert not pace.allows(16, 13.0, ahead=4)


def test_nobody_waits_long_for_a_search_however_slow_the_engine_is() -> None:
    pace = a_pace(answer_s=5.0, search_s=0.010)
    assert pace.allows(10, 51.0, ahead=64)
    assert not pace.allows(11, 51.0, ahead=64)
