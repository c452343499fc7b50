"""The month: pure arithmetic from a situation and the remedies that are in force."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Final, NamedTuple

from penstock_producer.plan.bill.figures import Figure
from penstock_producer.plan.bill.lengths import Lengths
from penstock_producer.plan.bill.speed import Speed

HOURS: Final = 730  # of a month: a twelfth of 8,760
_SECONDS: Final = HOURS * 3600


class Remedy(StrEnum):
    """What makes a month cheaper."""

    CACHE = "cache"
    ROUTING = "routing"
    QUANTIZATION = "quantization"
    SPECULATION = "speculation"
    BATCH_WINDOW = "batch window"


class Speedup(NamedTuple):
    """How much faster a tier is with a remedy, and whether its speed is that with the remedy."""

    factor: Figure
    in_force: bool

    def slows(self, *, wanted: bool) -> Fraction:
        """By what a tier's seconds are multiplied."""
        if wanted == self.in_force:
            return Fraction(1)
        return self.factor.value if self.in_force else 1 / self.factor.value


class TierFacts(NamedTuple):
    """A tier, as the plan sees it."""

    name: str
    price_pusd: int  # an hour of one worker
    price_mark: str
    gpus: int  # of one worker
    speed: Speed
    speed_mark: str
    at_once: Fraction | None  # requests in the engine while it was measured
    waste: Figure  # share of what is charged
    hit_rate: Figure
    speedups: Mapping[Remedy, Speedup]  # quantization, speculation and batch window


class Stream(NamedTuple):
    """The requests that routing sends to a tier."""

    tier: str
    share: Figure  # of all requests
    lengths: Lengths
    lengths_mark: str


class Situation(NamedTuple):
    """All that the month depends on."""

    requests: Figure  # a month
    tiers: Mapping[str, TierFacts]
    largest: str  # where all goes without routing
    streams: tuple[Stream, ...]
    peak: Figure  # the busiest hour over the average hour
    utilization: Figure  # how busy a worker may be at the peak
    can_wait: Figure  # share of the requests that need not be answered at the peak


class TierMonth(NamedTuple):
    """A tier's part of the month; money in picodollars."""

    tier: str
    requests: Fraction
    by_engine: Fraction
    work_s: Fraction  # of workers, with waste
    busy_workers: Fraction  # on the average
    peak_workers: Fraction  # not rounded
    price_pusd: int

    @property
    def workers(self) -> int:
        """Workers at the peak, whole ones."""
        return ceil(self.peak_workers)

    @property
    def work_pusd(self) -> int:
        """What the work itself costs: charges and waste."""
        return round(self.busy_workers * HOURS * self.price_pusd)

    @property
    def fleet_pusd(self) -> int:
        """What so many workers as the peak needs cost all month; parts of workers count."""
        return round(self.peak_workers * HOURS * self.price_pusd)

    @property
    def month_pusd(self) -> int:
        """What is paid: whole workers, all month."""
        return self.workers * HOURS * self.price_pusd


def plan_month(situation: Situation, remedies: Collection[Remedy]) -> list[TierMonth]:
    """The month with these remedies and without the others, tier by tier."""
    requests = dict.fromkeys(situation.tiers, Fraction(0))
    by_engine, work = dict(requests), dict(requests)
    for stream in situation.streams:
        tier = situation.tiers[stream.tier if Remedy.ROUTING in remedies else situation.largest]
        # Whether an answer is in the cache depends on who asks, not on where it would be made.
        hits = situation.tiers[stream.tier].hit_rate.value if Remedy.CACHE in remedies else 0
        asked = situation.requests.value * stream.share.value
        requests[tier.name] += asked
        by_engine[tier.name] += asked * (1 - hits)
        work[tier.name] += asked * (1 - hits) * _seconds(tier, stream.lengths, remedies)
    waits = situation.can_wait.value if Remedy.BATCH_WINDOW in remedies else Fraction(0)
    at_peak = max(Fraction(1), (1 - waits) * situation.peak.value) / situation.utilization.value
    return [
        TierMonth(
            name,
            requests[name],
            by_engine[name],
            work[name],
            work[name] / _SECONDS,
            work[name] / _SECONDS * at_peak,
            tier.price_pusd,
        )
        for name, tier in situation.tiers.items()
    ]


def _seconds(tier: TierFacts, lengths: Lengths, remedies: Collection[Remedy]) -> Fraction:
    seconds = tier.speed.seconds(lengths) * (1 + tier.waste.value)
    for remedy, speedup in tier.speedups.items():
        seconds *= speedup.slows(wanted=remedy in remedies)
    return seconds
