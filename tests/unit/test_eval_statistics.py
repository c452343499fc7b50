"""Intervals and tests, against published figures and against their own promises."""

from random import Random

import pytest

from penstock_workers.evals.quality import statistics
from penstock_workers.evals.quality.statistics import Interval


def test_wilsons_interval_has_the_published_bounds():
    # Newcombe 1998, table I: 81 of 263, and 0 of 20.
    assert statistics.share(81, 263) == pytest.approx((81 / 263, 0.2553, 0.3662), abs=1e-4)
    assert statistics.share(0, 20) == pytest.approx((0, 0, 0.1611), abs=1e-4)
    assert statistics.share(0, 0) == Interval(0.0, 0.0, 1.0)


def test_the_difference_counts_only_the_cases_that_disagree():
    ours = [True] * 8 + [False] * 2
    assert statistics.difference(ours, ours).value == 0
    worse = [True] * 5 + [False] * 5
    assert statistics.difference(worse, ours).value == pytest.approx(-0.3)
    assert statistics.difference(ours, worse).value == pytest.approx(0.3)


def test_the_interval_of_a_difference_holds_its_confidence():
    rng, count, trials = Random(7), 60, 400
    held = 0
    for _ in range(trials):
        # Both are right in 0.7; ours alone in 0.05, theirs alone in 0.15: the truth is -0.1.
        drawn = rng.choices(("both", "ours", "theirs", "none"), (0.7, 0.05, 0.15, 0.1), k=count)
        ours = [d in {"both", "ours"} for d in drawn]
        theirs = [d in {"both", "theirs"} for d in drawn]
        interval = statistics.difference(ours, theirs)
        held += interval.low <= -0.1 <= interval.high
    assert held / trials > 0.92


def test_mcnemars_test_is_exact():
    # 1 against 9 discordant pairs: twice the binomial tail, 2 * 11 / 1024.
    ours, theirs = [True] + [False] * 9 + [True] * 10, [False] + [True] * 9 + [True] * 10
    assert statistics.p_value(ours, theirs) == pytest.approx(22 / 1024)
    assert statistics.p_value(theirs, ours) == pytest.approx(22 / 1024)
    assert statistics.p_value(ours, ours) == 1.0


def test_many_comparisons_are_corrected_together():
    # Holm: 0.01 <= 0.05/4, 0.015 <= 0.05/3, 0.03 > 0.05/2, and then nothing more.
    assert statistics.significant([0.03, 0.01, 0.04, 0.015]) == [False, True, False, True]
    assert statistics.significant([]) == []


def test_cases_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="argument"):
        statistics.difference([True], [True, False])
