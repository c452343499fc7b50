"""What a batch will cost, from what requests like it cost; exact, with an interval."""

from fractions import Fraction

import pytest

from penstock_producer.batch.estimating import Band, Estimate, TierEstimate, estimate_tier
from penstock_producer.batch.preparing import TierLoad
from penstock_producer.batch.spread import inner_band
from penstock_shared.ledger.batches.measuring import Measured

PRICE = 3_600_000_000_000  # 3.60 USD an hour: a thousandth of a dollar a second
LOAD = TierLoad(100, 10_000, 5_000)


def measured(seconds: Fraction | int = 1, **changes: int) -> Measured:
    """By default 10 + 10 tokens, of equal weight, of an answer that ended by itself."""
    return Measured(
        charged_pusd=int(Fraction(PRICE, 3600) * seconds),
        price_per_hour_pusd=PRICE,
        prompt_tokens=10,
        completion_tokens=10,
        max_tokens=256,
        prefill_ms=100,
        decode_ms=100,
    )._replace(**changes)


def of(
    *recent: Measured, load: TierLoad = LOAD, price: int = PRICE, workers: int = 1
) -> TierEstimate:
    return estimate_tier("small", load, recent, price_per_hour_pusd=price, workers=workers)


def test_a_band_is_the_tenth_and_ninetieth_percentile() -> None:
    assert inner_band([Fraction(n) for n in range(11)]) == (1, 9)
    assert inner_band([0.0, 10.0]) == (pytest.approx(1), pytest.approx(9))
    assert inner_band([Fraction(7)]) == (7, 7)


def test_equal_requests_give_a_figure_without_an_interval() -> None:
    found = of(*[measured()] * 100)
    assert found.answer_tokens == 1_000
    # 11,000 tokens at 20 a second
    assert found.worker_s == Band(Fraction(550), Fraction(550), Fraction(550))
    assert found.cost_pusd.middle == 550 * PRICE // 3600
    assert found.measured_on == 100


def test_half_the_workers_take_twice_the_time_and_cost_the_same() -> None:
    one, two = of(*[measured()] * 100), of(*[measured()] * 100, workers=2)
    assert one.seconds.middle == 2 * two.seconds.middle
    assert one.cost_pusd == two.cost_pusd
    assert of(*[measured()] * 100, workers=0).seconds == one.seconds


def test_the_price_of_today_counts_and_not_that_of_the_measurement() -> None:
    cheap = of(*[measured()] * 100, price=PRICE // 2)
    assert cheap.cost_pusd.middle == 550 * PRICE // 7200
    assert of(*[measured()] * 100, price=0).cost_pusd == Band(*[Fraction(0)] * 3)
    assert of(*[measured()] * 100, price=0).seconds.middle == 550


def test_a_prompt_token_counts_by_the_time_that_it_took() -> None:
    fast_prompts = [measured(prefill_ms=10)] * 100  # a tenth of an answer's token
    # measured 1 + 10, wanted 1,000 + 1,000
    assert of(*fast_prompts).worker_s.middle == Fraction(2_000, 11)


def test_answers_are_cut_at_what_the_batch_allows() -> None:
    assert of(*[measured(completion_tokens=200)] * 100).answer_tokens == 5_000
    cut_off = [measured(max_tokens=10)] * 100
    assert of(*cut_off).answer_tokens == 5_000
    assert of(*cut_off[:50], *[measured()] * 50).answer_tokens == 3_000


def test_requests_that_differ_give_an_interval_around_the_mean() -> None:
    recent = [measured(1 + number // 20) for number in range(200)]  # ten groups
    found = of(*recent)
    assert found.worker_s.low < found.worker_s.middle < found.worker_s.high
    assert found.worker_s.low == Fraction(550) * Fraction(19, 10)
    assert found.worker_s.high == Fraction(550) * Fraction(91, 10)
    assert found.worker_s.middle == Fraction(550) * Fraction(55, 10)


def test_a_few_requests_give_a_wide_interval() -> None:
    found = of(*[measured()] * 59)
    assert found.worker_s == Band(Fraction(275), Fraction(550), Fraction(1_100))
    assert found.measured_on == 59


def test_without_figures_it_is_assumed() -> None:
    found = of()
    assert found.measured_on == 0
    assert found.answer_tokens == 5_000
    assert found.worker_s == Band(Fraction(300, 16), Fraction(300), Fraction(300))


def test_what_had_no_price_says_nothing() -> None:
    assert of(measured(price_per_hour_pusd=0), measured(charged_pusd=0)).measured_on == 0


def test_a_request_without_an_answer_says_nothing() -> None:
    assert of(*[measured(completion_tokens=0, decode_ms=0)] * 100).measured_on == 0


def test_tiers_work_side_by_side_and_are_paid_together() -> None:
    small, large = of(*[measured()] * 100), of(*[measured(2)] * 100)
    both = Estimate((small, large))
    assert both.seconds.middle == 1_100
    assert both.cost_pusd.middle == small.cost_pusd.middle + large.cost_pusd.middle
    assert Estimate(()).cost_pusd.middle == Estimate(()).seconds.middle == 0
