"""Which remedy saves how much: alone, and one after the other, the best of the rest first."""

from fractions import Fraction
from typing import NamedTuple

from penstock_producer.plan.bill.figures import DEFAULT, GIVEN, measured
from penstock_producer.plan.bill.month import Remedy, Situation, TierMonth, plan_month


class Saving(NamedTuple):
    """One remedy, in its place."""

    remedy: Remedy
    alone_pusd: int  # against the plan without any
    in_order_pusd: int  # against the plan with those before it
    month_pusd: int  # what is paid with it and those before it, in whole workers
    mark: str


class Bill(NamedTuple):
    """The month as planned, and what it is without remedies."""

    tiers: tuple[TierMonth, ...]
    without: tuple[TierMonth, ...]
    savings: tuple[Saving, ...]

    @property
    def month_pusd(self) -> int:
        """What is paid with all remedies."""
        return sum(tier.month_pusd for tier in self.tiers)


def make_bill(situation: Situation) -> Bill:
    """The month with all remedies, and the remedies in the order of what they save.

    Savings are of the workers that the peak needs, before they are rounded up to whole ones, so
    they add up: the plan without remedies less all savings in order is the plan with all of them.
    """
    without = plan_month(situation, ())
    start = _fleet(without)
    alone = {remedy: start - _fleet(plan_month(situation, [remedy])) for remedy in Remedy}
    savings: list[Saving] = []
    chosen: list[Remedy] = []
    while len(chosen) < len(Remedy):
        left = [remedy for remedy in Remedy if remedy not in chosen]
        months = {remedy: plan_month(situation, [*chosen, remedy]) for remedy in left}
        best = min(left, key=lambda remedy: _fleet(months[remedy]))
        chosen.append(best)
        now = _fleet(months[best])
        paid = sum(tier.month_pusd for tier in months[best])
        savings.append(Saving(best, alone[best], start - now, paid, _mark(situation, best)))
        start = now
    return Bill(tuple(plan_month(situation, chosen)), tuple(without), tuple(savings))


def _fleet(months: list[TierMonth]) -> int:
    return sum(month.fleet_pusd for month in months)


def _mark(situation: Situation, remedy: Remedy) -> str:
    """Where the figures of a remedy are from; the weakest decides, for tiers that have traffic."""
    used = [situation.tiers[stream.tier] for stream in situation.streams if stream.share.value]
    if remedy is Remedy.ROUTING:
        # It compares the speeds of tiers, so it is as good as these.
        speeds = [tier.speed_mark for tier in [*used, situation.tiers[situation.largest]]]
        return _weakest([situation.streams[0].share.mark, *speeds])
    if remedy is Remedy.CACHE:
        figures = [tier.hit_rate for tier in used]
    else:
        figures = [tier.speedups[remedy].factor for tier in used]
    if remedy is Remedy.BATCH_WINDOW and situation.can_wait.value:
        figures = [figure for figure in figures if figure.value != 1]
        figures.append(situation.can_wait)
    of_all = measured(Fraction(0), sum(figure.jobs for figure in figures)).mark
    return _weakest([of_all, *(figure.mark for figure in figures if not figure.jobs)])


def _weakest(marks: list[str]) -> str:
    return next((mark for mark in (DEFAULT, GIVEN) if mark in marks), marks[0])
