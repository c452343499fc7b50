"""The bound of a rate is Clopper and Pearson's."""

import pytest
from scipy.stats import beta, binom

from penstock_shared.bounds import upper_bound

SAMPLES = [
    (0, 1),
    (0, 59),
    (1, 2),
    (1, 100),
    (50, 100),
    (99, 100),
    (40, 41),
    (0, 1_000_000),
    (1_000, 1_000_000),
    (30_000, 100_000),
]


@pytest.mark.parametrize(("seen", "of"), SAMPLES)
def test_the_bound_is_that_of_scipy(seen: int, of: int) -> None:
    assert upper_bound(seen, of) == pytest.approx(beta.ppf(0.95, seen + 1, of - seen), rel=1e-9)


@pytest.mark.parametrize("seen", range(12))
def test_with_a_rate_above_the_bound_so_few_come_seldom(seen: int) -> None:
    bound = upper_bound(seen, 200)
    assert bound is not None
    assert binom.cdf(seen, 200, bound) == pytest.approx(0.05)
    assert bound > seen / 200


def test_without_a_sample_there_is_no_bound() -> None:
    assert upper_bound(0, 0) is None


def test_when_all_were_seen_nothing_is_ruled_out() -> None:
    assert upper_bound(3, 3) == 1.0


def test_three_hundred_right_ones_show_one_percent() -> None:
    assert upper_bound(0, 300) == pytest.approx(0.00994, abs=1e-5)
