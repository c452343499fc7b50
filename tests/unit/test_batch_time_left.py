"""How long a batch will still take: an honest interval, or none."""

import pytest

from penstock_producer.batch.time_left import Pace, Sample, TimeLeft, time_left


def evenly(rate: float, seconds: int) -> list[Sample]:
    return [Sample(at, int(rate * at), int(rate * at) * 7) for at in range(seconds + 1)]


def test_an_even_pace_gives_one_figure() -> None:
    left = time_left(evenly(5, 60), remaining=500)
    assert left == TimeLeft(pytest.approx(100), pytest.approx(100))


def test_there_is_no_figure_before_there_is_evidence() -> None:
    assert time_left([], 100) is None
    assert time_left(evenly(100, 9), 100) is None  # ten seconds
    assert time_left(evenly(1, 19), 100) is None  # 20 lines
    assert time_left(evenly(1, 20), 100) is not None


def test_an_uneven_pace_gives_an_interval_around_the_mean() -> None:
    samples, ended = [Sample(0, 0)], 0
    for second in range(1, 101):
        ended += 2 if (second - 1) // 10 % 2 else 6
        samples.append(Sample(second, ended))
    left = time_left(samples, remaining=400)
    assert left is not None
    assert left.high_s is not None
    assert left.low_s == pytest.approx(400 / 6)
    assert left.high_s == pytest.approx(400 / 2)
    assert left.low_s < 400 / 4 < left.high_s


def test_a_batch_that_stood_still_for_long_has_no_upper_bound() -> None:
    samples = [*evenly(5, 40), Sample(100, 200)]
    left = time_left(samples, remaining=100)
    assert left is not None
    assert left.low_s > 0
    assert left.high_s is None


def test_nothing_remaining_takes_no_time() -> None:
    assert time_left(evenly(5, 60), remaining=0) == TimeLeft(0, 0)


def test_only_the_last_five_minutes_count() -> None:
    pace = Pace()
    for sample in evenly(1, 1_000):
        pace.add(sample)
    for second in range(1_001, 1_401):
        pace.add(Sample(second, 1_000 + (second - 1_000) * 10, 7_000 + (second - 1_000) * 70))
    assert pace.left(3_000) == TimeLeft(pytest.approx(300), pytest.approx(300))
    assert pace.tokens_per_s() == pytest.approx(70)


def test_samples_of_the_same_moment_are_one() -> None:
    pace = Pace()
    for _ in range(1_000):
        pace.add(Sample(3.0, 1))
    assert pace.tokens_per_s() is None
    assert pace.left(10) is None
    assert len(pace._samples) == 2


def test_counts_that_shrink_begin_anew() -> None:
    pace = Pace()
    for sample in evenly(5, 60):
        pace.add(sample)
    pace.add(Sample(61, 0))
    assert pace.left(100) is None
