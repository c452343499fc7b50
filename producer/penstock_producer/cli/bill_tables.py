"""How ``penstock plan bill`` shows a bill: as tables, and as facts."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock_producer.plan.bill.figures import plain
from penstock_producer.plan.bill.month import HOURS, Remedy, Situation, TierFacts, TierMonth
from penstock_producer.plan.bill.remedies import Bill
from penstock_shared import money

out = Console(highlight=False, emoji=False)
_CENT = 10**10  # picodollars


class Input(NamedTuple):
    """One figure that the month depends on; value and mark as they are printed."""

    what: str
    tier: str
    value: str
    mark: str


def facts_of(situation: Situation, bill: Bill) -> dict[str, Any]:
    """The bill as JSON has it: amounts in USD and ratios are decimals in strings."""
    return {
        "month_usd": _exact(bill.month_pusd),
        "without_remedies_usd": _exact(sum(tier.month_pusd for tier in bill.without)),
        "gpus_at_peak": sum(_gpus(situation, month) for month in bill.tiers),
        "hours_a_month": HOURS,
        "inputs": [each._asdict() for each in inputs_of(situation)],
        "tiers": [_tier_facts(situation, month) for month in bill.tiers],
        "remedies": [
            {
                "remedy": saving.remedy.value,
                "saves_alone_usd": _exact(saving.alone_pusd),
                "saves_in_order_usd": _exact(saving.in_order_pusd),
                "month_usd": _exact(saving.month_pusd),
                "mark": saving.mark,
            }
            for saving in bill.savings
        ],
    }


def show_bill(situation: Situation, bill: Bill) -> None:
    """Print what it depends on, the tiers, and the remedies."""
    table = Table("tier", "what", title="what the month depends on", title_justify="left")
    table.add_column("value", justify="right")
    table.add_column("from")
    for each in inputs_of(situation):
        table.add_row(escape(each.tier), each.what, _short(each.value), escape(each.mark))
    out.print(table)
    _show_tiers(situation, bill)
    _show_remedies(bill)


def inputs_of(situation: Situation) -> Iterator[Input]:
    """Every figure that the month depends on, with its origin."""
    for what, figure in (
        ("requests a month", situation.requests),
        ("busiest hour / average hour", situation.peak),
        ("busy at the peak", situation.utilization),
        ("share that can wait", situation.can_wait),
    ):
        yield Input(what, "", plain(figure.value), figure.mark)
    for stream in situation.streams:
        yield Input("share of requests", stream.tier, plain(stream.share.value), stream.share.mark)
        for what, value in (
            ("prompt tokens, mean", stream.lengths.prompt),
            ("output tokens, mean", stream.lengths.output),
        ):
            yield Input(what, stream.tier, plain(value), stream.lengths_mark)
        yield Input(
            "worker seconds a request",
            stream.tier,
            plain(situation.tiers[stream.tier].speed.seconds(stream.lengths)),
            _speed_mark(situation.tiers[stream.tier].speed_mark, stream.lengths_mark),
        )
    for tier in situation.tiers.values():
        yield from _of_tier(situation, tier)


def _of_tier(situation: Situation, tier: TierFacts) -> Iterator[Input]:
    used = {stream.tier for stream in situation.streams} | {situation.largest}
    if tier.name not in used:
        return
    yield Input("price an hour, USD", tier.name, _exact(tier.price_pusd), tier.price_mark)
    yield Input("cache hit rate", tier.name, plain(tier.hit_rate.value), tier.hit_rate.mark)
    yield Input("waste / charges", tier.name, plain(tier.waste.value), tier.waste.mark)
    if tier.at_once is not None:
        yield Input("requests in the engine at once", tier.name, plain(tier.at_once),
                    tier.speed_mark)  # fmt: skip
    for remedy, speedup in tier.speedups.items():
        state = " (in force)" if speedup.in_force else ""
        yield Input(f"{remedy.value} speed-up{state}", tier.name, plain(speedup.factor.value),
                    speedup.factor.mark)  # fmt: skip


def _speed_mark(speed: str, lengths: str) -> str:
    """A measured speed, used for lengths that were not measured with it, is scaled to them."""
    is_scaled = speed.startswith("measured") and not lengths.startswith("measured")
    return f"{speed}, scaled to these lengths" if is_scaled else speed


def _tier_facts(situation: Situation, month: TierMonth) -> dict[str, Any]:
    return {
        "tier": month.tier,
        "requests": plain(month.requests),
        "engine_requests": plain(month.by_engine),
        "usd_per_request": _exact(_per_request(month)),
        "work_usd": _exact(month.work_pusd),
        "workers_at_peak": month.workers,
        "gpus_at_peak": _gpus(situation, month),
        "month_usd": _exact(month.month_pusd),
        "mark": situation.tiers[month.tier].speed_mark,
    }


def _show_tiers(situation: Situation, bill: Bill) -> None:
    title = f"the month: {_dollars(bill.month_pusd)} USD"
    table = Table("tier", title=title, title_justify="left")
    for name in ("requests", "to the engine", "USD a request", "work, USD", "workers at peak",
                 "GPUs", "month, USD"):  # fmt: skip
        table.add_column(name, justify="right")
    table.add_column("speed from")
    for month in bill.tiers:
        table.add_row(
            escape(month.tier),
            f"{round(month.requests):,}",
            f"{round(month.by_engine):,}",
            f"{_per_request(month) / 10**12:.6f}",
            _dollars(month.work_pusd),
            f"{month.workers:,}",
            f"{_gpus(situation, month):,}",
            _dollars(month.month_pusd),
            situation.tiers[month.tier].speed_mark,
        )
    out.print(table)


def _show_remedies(bill: Bill) -> None:
    without = sum(tier.month_pusd for tier in bill.without)
    title = f"what saves how much; without any of them: {_dollars(without)} USD"
    table = Table("remedy", title=title, title_justify="left")
    for name in ("saves alone, USD", "saves in this order, USD", "month then, USD"):
        table.add_column(name, justify="right")
    table.add_column("from")
    for saving in bill.savings:
        table.add_row(
            saving.remedy.value,
            _dollars(saving.alone_pusd),
            _dollars(saving.in_order_pusd),
            _dollars(saving.month_pusd),
            saving.mark,
        )
    out.print(table)
    if any(s.remedy is not Remedy.ROUTING and "default" in s.mark for s in bill.savings):
        out.print("A remedy that nobody has measured is taken to save nothing; penstock-worker "
                  "eval measures quantization, speculation and batches.",
                  soft_wrap=True)  # fmt: skip


def _gpus(situation: Situation, month: TierMonth) -> int:
    return month.workers * situation.tiers[month.tier].gpus


def _per_request(month: TierMonth) -> int:
    return round(Fraction(month.work_pusd) / month.requests) if month.requests else 0


def _exact(pusd: int) -> str:
    return money.usd_text(money.to_usd(pusd))


def _dollars(pusd: int) -> str:
    return f"{round(Fraction(pusd, _CENT)) / 100:,.2f}"


def _short(value: str) -> str:
    return f"{float(value):,.4g}" if len(value) > 9 else value  # noqa: PLR2004
