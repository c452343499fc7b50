"""The bill of a month: arithmetic by hand, origins of figures, order of savings."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_producer.cli.bill_tables import inputs_of
from penstock_producer.plan.bill.figures import plain
from penstock_producer.plan.bill.lengths import Lengths, parse_distribution
from penstock_producer.plan.bill.month import Remedy, Situation, plan_month
from penstock_producer.plan.bill.options import Options
from penstock_producer.plan.bill.remedies import make_bill
from penstock_producer.plan.bill.situation import make_situation
from penstock_producer.plan.bill.speed import MeasuredSpeed, charged_seconds, requests_at_once
from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger.traffic import Answered, Arrivals, EngineWork, Traffic, Waste
from penstock_shared.settings import Settings

HOUR_MS = 3_600_000
DOLLAR = 10**12
GIVEN = Options(requests="730000", prompt_tokens="1000", output_tokens="100")


def some_work(tier: str = "small", **changes: Any) -> EngineWork:
    """100 jobs of 10 + 20 tokens, for a cent altogether at a dollar an hour: 36 s."""
    work = EngineWork(
        tier=tier, price_per_hour_pusd=DOLLAR, is_quantized=False, has_speculation=False, jobs=100,
        charged_pusd=DOLLAR // 100, prompt=1_000, output=2_000, prompt_squared=10_000,
        prompt_times_output=20_000, output_squared=40_000, prefill_ms=1_000, decode_ms=71_000,
    )  # fmt: skip
    return work._replace(**changes)


def some_traffic(*work: EngineWork, hits: int = 0, hours: int = 48) -> Traffic:
    jobs: dict[str, int] = {}
    for each in work:
        jobs[each.tier] = jobs.get(each.tier, 0) + each.jobs
    total = sum(jobs.values()) + hits * len(jobs)
    return Traffic(
        tuple(Answered(tier, n + hits, n) for tier, n in jobs.items()),
        work,
        tuple(Waste(tier, 100, 5) for tier in jobs),
        Arrivals(total, 0, hours * HOUR_MS, 10),
    )


def situation_of(traffic: Traffic | None = None, options: Options = GIVEN) -> Situation:
    return make_situation(Settings(), traffic, options)


def test_a_month_by_hand() -> None:
    # 1,000 requests an hour of 0.1 + 0.1 s keep 1/18 of a worker busy; at the peak, 3 times that.
    bill = make_bill(situation_of())
    [large] = [month for month in bill.tiers if month.tier == "large"]
    assert large.busy_workers == Fraction(1_000, 5 * 3_600)
    assert large.peak_workers == large.busy_workers * 3 / Fraction(8, 10)
    assert large.work_pusd == round(Fraction(730, 18) * 4 * DOLLAR)
    assert (large.workers, bill.month_pusd) == (1, 730 * 4 * DOLLAR)
    assert sum(month.requests for month in bill.tiers) == 730_000


def test_remedies_by_hand() -> None:
    options = GIVEN._replace(
        requests="73000000",
        shares=("small=0.5", "large=0.5"),
        cache_hit_rate="0.2",
        quantization_speedup="1.25",
        can_wait="0.5",
    )
    bill = make_bill(situation_of(options=options))
    plain_usd = Fraction(100, 18) * Fraction(3) / Fraction(8, 10) * 730 * 4
    alone = {saving.remedy: saving.alone_pusd for saving in bill.savings}
    percent = {
        Remedy.ROUTING: 45,  # half of it at a tenth
        Remedy.CACHE: 20,
        Remedy.QUANTIZATION: 20,
        Remedy.BATCH_WINDOW: 50,
        Remedy.SPECULATION: 0,
    }
    for remedy, part in percent.items():
        assert abs(alone[remedy] - plain_usd * DOLLAR * Fraction(part, 100)) <= 1
    order = [saving.remedy for saving in bill.savings]
    assert order[:2] == [Remedy.BATCH_WINDOW, Remedy.ROUTING]
    assert order[-1] is Remedy.SPECULATION
    assert {saving.remedy: saving.mark for saving in bill.savings} == {
        Remedy.BATCH_WINDOW: "assumed (given)",
        Remedy.ROUTING: "assumed (default)",  # as the speeds of the tiers are
        Remedy.CACHE: "assumed (given)",
        Remedy.QUANTIZATION: "assumed (given)",
        Remedy.SPECULATION: "assumed (default)",
    }


def test_what_can_wait_never_takes_the_peak_below_the_average() -> None:
    months = [
        plan_month(situation_of(options=GIVEN._replace(can_wait=share)), list(Remedy))
        for share in ("0.7", "1")
    ]
    assert months[0] == months[1]


def test_measured_speed_gives_back_what_was_charged() -> None:
    work = [some_work(), some_work(jobs=10, prompt=9_000, prompt_squared=9_000_000)]
    speed = MeasuredSpeed.of_jobs(work)
    assert speed is not None
    assert speed.seconds(Lengths.of_jobs(work)) == Fraction(72, 110)
    assert charged_seconds(work[0]) == 36
    assert requests_at_once(work) == 2


def lengths(prompt: str, output: str) -> Lengths:
    return Lengths.of_distributions(
        parse_distribution(prompt, "--prompt-tokens"), parse_distribution(output, "--output-tokens")
    )


def test_longer_requests_take_more_in_proportion_to_the_kv_cache_that_they_hold() -> None:
    speed = MeasuredSpeed.of_jobs([some_work(prefill_ms=0)])
    assert speed is not None
    assert speed.seconds(lengths("50", "20")) == speed.worker_s * Fraction(50 + 10, 10 + 10)


def test_shorter_requests_take_less_in_proportion_to_their_time_in_the_engine() -> None:
    speed = MeasuredSpeed.of_jobs([some_work(prefill_ms=0)])
    assert speed is not None
    assert speed.seconds(lengths("10", "10")) == speed.worker_s / 2
    assert speed.seconds(lengths("1", "20")) == speed.worker_s


def test_a_speed_used_for_other_lengths_is_said_to_be_scaled() -> None:
    marks = {each.what: each.mark for each in inputs_of(situation_of(some_traffic(some_work())))}
    assert marks["worker seconds a request"] == "measured (100 jobs), scaled to these lengths"


@pytest.mark.parametrize(
    "work",
    [
        some_work(price_per_hour_pusd=0),
        some_work(charged_pusd=0),
        some_work(prompt_squared=0, prompt_times_output=0, output_squared=0),
    ],
)
def test_what_cost_nothing_measures_no_speed(work: EngineWork) -> None:
    assert MeasuredSpeed.of_jobs([work]) is None


def test_times_below_a_millisecond_do_not_matter() -> None:
    speed = MeasuredSpeed.of_jobs([some_work(prefill_ms=0, decode_ms=0)])
    assert speed is not None
    assert speed.seconds(Lengths.of_jobs([some_work()])) == Fraction(36, 100)


def test_figures_of_the_ledger_are_used_and_marked() -> None:
    traffic = some_traffic(some_work("small"), some_work("large"), hits=25)
    situation = situation_of(traffic, Options())
    assert situation.requests.value == 250 * Fraction(730, 48)
    assert situation.requests.mark == "measured (250 jobs)"
    assert situation.peak.value == Fraction(10 * 48, 250)
    small = situation.tiers["small"]
    assert (small.hit_rate.value, small.hit_rate.mark) == (Fraction(1, 5), "measured (125 jobs)")
    assert (small.waste.value, small.speed_mark) == (Fraction(1, 20), "measured (100 jobs)")
    assert [stream.share.value for stream in situation.streams] == [Fraction(1, 2)] * 2
    assert situation.streams[0].lengths.prompt == 10
    assert situation.tiers["medium"].speed_mark == "assumed (default)"
    marks = {saving.remedy: saving.mark for saving in make_bill(situation).savings}
    assert marks[Remedy.CACHE] == "measured (250 jobs)"
    assert marks[Remedy.ROUTING] == "measured (250 jobs)"


def test_what_is_given_wins_over_the_ledger() -> None:
    options = GIVEN._replace(
        cache_hit_rate="0.5", peak="2", prices=("small=0.80",), output_per_s=("small=500",)
    )
    situation = situation_of(some_traffic(some_work()), options)
    small = situation.tiers["small"]
    marks = {situation.peak.mark, small.hit_rate.mark, small.price_mark, small.speed_mark}
    assert marks == {"assumed (given)"}
    assert small.price_pusd == 8 * DOLLAR // 10
    assert small.speed.seconds(situation.streams[0].lengths) == Fraction(1, 10) + Fraction(1, 5)


def test_a_speedup_is_measured_where_the_ledger_has_both_kinds() -> None:
    quantized = some_work(is_quantized=True, charged_pusd=DOLLAR // 200, jobs=50)
    situation = situation_of(some_traffic(some_work(), quantized))
    speedup = situation.tiers["small"].speedups[Remedy.QUANTIZATION]
    assert (speedup.factor.value, speedup.factor.mark) == (2, "measured (150 jobs)")
    assert not speedup.in_force
    assert situation.tiers["small"].speed_mark == "measured (100 jobs)"


def test_a_remedy_in_force_is_taken_out_of_the_plan_without_it() -> None:
    work = some_work("large", has_speculation=True)
    options = Options(requests="1000", speculation_speedup="2")
    situation = situation_of(some_traffic(work), options)
    bill = make_bill(situation)
    work_usd = [sum(month.work_pusd for month in months) for months in (bill.without, bill.tiers)]
    assert work_usd[0] == 2 * work_usd[1]


def test_a_tier_that_is_gone_is_left_out() -> None:
    situation = situation_of(some_traffic(some_work("small"), some_work("gone")))
    assert [stream.tier for stream in situation.streams] == ["small"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (Options(requests="1"), "--prompt-tokens and --output-tokens"),
        (Options(prompt_tokens="1", output_tokens="1"), "--requests"),
        (GIVEN._replace(output_tokens=None), "together"),
        (GIVEN._replace(prompt_tokens="1:0.5"), "add up to 1"),
        (GIVEN._replace(prompt_tokens="-1"), "write tokens"),
        (GIVEN._replace(requests="many"), "no number"),
        (GIVEN._replace(requests="0"), "too small"),
        (GIVEN._replace(requests="NaN"), "too small"),
        (GIVEN._replace(cache_hit_rate="1.1"), "more than 1"),
        (GIVEN._replace(peak="0.5"), "too small"),
        (GIVEN._replace(utilization="0"), "too small"),
        (GIVEN._replace(shares=("small=0.5",)), "add up to 1"),
        (GIVEN._replace(shares=("huge=1",)), "TIER=NUMBER"),
        (GIVEN._replace(prices=("small",)), "TIER=NUMBER"),
        (GIVEN._replace(output_per_s=("small=0",)), "too small"),
        (GIVEN._replace(quantization_speedup="0"), "too small"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options: Options, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as refused:
        situation_of(options=options)
    assert "\n" not in refused.value.message


def test_less_than_a_day_says_nothing_of_a_month() -> None:
    traffic = some_traffic(some_work(), hours=23)
    with pytest.raises(InvalidRequest, match="less than a day"):
        situation_of(traffic, Options())
    assert situation_of(traffic).peak.mark == "assumed (default)"


@pytest.mark.parametrize(
    ("value", "text"),
    [(Fraction(0), "0"), (Fraction(1, 3), "0.333333333333"), (Fraction(5, 2), "2.5"),
     (Fraction(1200), "1200"), (Fraction(-1, 4), "-0.25")],
)  # fmt: skip
def test_ratios_are_plain_decimals(value: Fraction, text: str) -> None:
    assert plain(value) == text


shares = st.decimals(0, 1, places=3).map(str)
speedups = st.decimals("0.5", 4, places=2).map(str)


@given(st.integers(1, 10**9), shares, shares, shares, speedups, speedups, speedups)
def test_savings_in_order_add_up_to_the_picodollar(
    requests: int, small: str, hits: str, waits: str, quantized: str, drafted: str, batched: str
) -> None:
    rest = Fraction(1) - Fraction(small)
    options = GIVEN._replace(
        requests=str(requests), shares=(f"small={small}", f"large={float(rest):.3f}"),
        cache_hit_rate=hits, can_wait=waits, quantization_speedup=quantized,
        speculation_speedup=drafted, batch_speedup=batched,
    )  # fmt: skip
    bill = make_bill(situation_of(options=options))
    before = sum(month.fleet_pusd for month in bill.without)
    after = sum(month.fleet_pusd for month in bill.tiers)
    assert before - after == sum(saving.in_order_pusd for saving in bill.savings)
    assert bill.savings[-1].month_pusd == bill.month_pusd
    assert bill.savings[0].alone_pusd == bill.savings[0].in_order_pusd
    assert bill.savings[0].alone_pusd == max(saving.alone_pusd for saving in bill.savings)
    assert all(month.month_pusd >= month.fleet_pusd for month in bill.tiers)
    assert all(month.fleet_pusd >= month.work_pusd for month in bill.tiers)
