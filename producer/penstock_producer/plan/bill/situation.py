"""From settings, ledger and command line to the situation of the month.

What is given wins over what is measured, and what is measured over what is assumed.
"""

from fractions import Fraction
from typing import Final, NamedTuple

from penstock_producer.plan.bill.figures import (
    DEFAULT,
    GIVEN,
    SETTINGS,
    Figure,
    by_tier,
    measured,
)
from penstock_producer.plan.bill.lengths import Lengths
from penstock_producer.plan.bill.month import HOURS, Situation, Stream, TierFacts
from penstock_producer.plan.bill.options import (
    DEFAULT_OUTPUT_PER_S,
    DEFAULT_PEAK,
    DEFAULT_PROMPT_PER_S,
    Options,
)
from penstock_producer.plan.bill.speed import (
    AssumedSpeed,
    MeasuredSpeed,
    Speed,
    requests_at_once,
)
from penstock_producer.plan.bill.speedups import main_manner, speedups_of
from penstock_shared import money
from penstock_shared.engine_options import devices_of
from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger.traffic import Answered, Arrivals, EngineWork, Traffic, Waste
from penstock_shared.settings import Settings

_HOUR_MS: Final = 3_600_000
_DAY_HOURS: Final = 24  # less than a day says nothing of a month or its peaks
_NOTHING: Final = Traffic((), (), (), None)


class Known(NamedTuple):
    """What the ledger knows of the tiers that there still are."""

    answered: dict[str, Answered]
    work: dict[str, list[EngineWork]]
    waste: dict[str, Waste]
    arrivals: Arrivals | None

    @property
    def jobs(self) -> int:
        """Jobs with an answer."""
        return sum(each.jobs for each in self.answered.values())

    @property
    def all_work(self) -> list[EngineWork]:
        """Of all tiers."""
        return [each for some in self.work.values() for each in some]


def make_situation(settings: Settings, traffic: Traffic | None, options: Options) -> Situation:
    """Put the situation together. Raises InvalidRequest where something essential is unknown."""
    known = _known(settings, traffic or _NOTHING)
    names = list(settings.tiers)
    return Situation(
        requests=_requests(known, options),
        tiers={name: _tier(name, settings, known, options) for name in names},
        largest=settings.largest_tier,
        streams=_streams(settings, known, options),
        peak=_peak(known, options),
        utilization=options.busy_at_peak(),
        can_wait=options.share_that_waits(),
    )


def _known(settings: Settings, traffic: Traffic) -> Known:
    tiers = settings.tiers
    work = {name: [each for each in traffic.work if each.tier == name] for name in tiers}
    return Known(
        {each.tier: each for each in traffic.answered if each.tier in tiers},
        {name: some for name, some in work.items() if some},
        {each.tier: each for each in traffic.waste if each.tier in tiers},
        traffic.arrivals,
    )


def _tier(name: str, settings: Settings, known: Known, options: Options) -> TierFacts:
    tier = settings.tiers[name]
    prices = by_tier(options.prices, "--price", settings.tiers)
    price = tier.price_per_hour_pusd
    if name in prices:
        price = round(prices[name] * money.PICODOLLARS_PER_DOLLAR)
    work = known.work.get(name, [])
    speed, mark = _speed(name, settings, work, options)
    return TierFacts(
        name=name,
        price_pusd=price,
        price_mark=GIVEN if name in prices else SETTINGS,
        gpus=devices_of(tier.engine_options()),
        speed=speed,
        speed_mark=mark,
        at_once=requests_at_once(main_manner(work)) if isinstance(speed, MeasuredSpeed) else None,
        waste=_waste(known, name),
        hit_rate=_hit_rate(known, name, options),
        speedups=speedups_of(tier, work, options),
    )


def _speed(
    name: str, settings: Settings, work: list[EngineWork], options: Options
) -> tuple[Speed, str]:
    above_0 = {"above": True}
    written = by_tier(options.output_per_s, "--output-per-s", settings.tiers, **above_0)
    read = by_tier(options.prompt_per_s, "--prompt-per-s", settings.tiers, **above_0)
    assumed = AssumedSpeed(
        read.get(name, DEFAULT_PROMPT_PER_S), written.get(name, DEFAULT_OUTPUT_PER_S)
    )
    if name in written or name in read:
        return assumed, GIVEN
    main = main_manner(work)
    found = MeasuredSpeed.of_jobs(main) if main else None
    if found is None:
        return assumed, DEFAULT
    return found, measured(Fraction(0), sum(each.jobs for each in main)).mark


def _streams(settings: Settings, known: Known, options: Options) -> tuple[Stream, ...]:
    shares = _shares(settings, known, options)
    return tuple(
        Stream(name, share, *_lengths(known, name, options)) for name, share in shares.items()
    )


def _shares(settings: Settings, known: Known, options: Options) -> dict[str, Figure]:
    given = options.routing(list(settings.tiers))
    if given:
        return {name: Figure(share, GIVEN) for name, share in given.items()}
    if known.jobs:
        return {
            name: measured(Fraction(each.jobs, known.jobs), known.jobs)
            for name, each in known.answered.items()
        }
    return {settings.largest_tier: Figure(Fraction(1), DEFAULT)}


def _lengths(known: Known, tier: str, options: Options) -> tuple[Lengths, str]:
    given = options.lengths()
    if given is not None:
        return given, GIVEN
    work = known.work.get(tier) or known.all_work
    if not work:
        raise InvalidRequest(
            "the ledger has no answered jobs to take lengths from: give --prompt-tokens and "
            "--output-tokens"
        )
    jobs = sum(each.jobs for each in work)
    return Lengths.of_jobs(work), measured(Fraction(0), jobs).mark


def _hit_rate(known: Known, tier: str, options: Options) -> Figure:
    given = options.hit_rate()
    if given is not None:
        return given
    found = known.answered.get(tier)
    if found is None:
        return Figure(Fraction(0), DEFAULT)
    return measured(Fraction(found.jobs - found.by_engine, found.jobs), found.jobs)


def _waste(known: Known, tier: str) -> Figure:
    found, answered = known.waste.get(tier), known.answered.get(tier)
    if found is None or answered is None or not found.charged_pusd:
        return Figure(Fraction(0), DEFAULT)
    return measured(Fraction(found.waste_pusd, found.charged_pusd), answered.jobs)


def _requests(known: Known, options: Options) -> Figure:
    given = options.requests_a_month()
    if given is not None:
        return given
    arrivals, hours = known.arrivals, _hours(known.arrivals)
    if arrivals is None or hours < _DAY_HOURS:
        raise InvalidRequest(
            "the ledger has less than a day of traffic, which says nothing of a month: give "
            "--requests"
        )
    return measured(arrivals.jobs * HOURS / hours, arrivals.jobs)


def _peak(known: Known, options: Options) -> Figure:
    given = options.peak_factor()
    if given is not None:
        return given
    arrivals, hours = known.arrivals, _hours(known.arrivals)
    if arrivals is None or hours < _DAY_HOURS:
        return Figure(DEFAULT_PEAK, DEFAULT)
    factor = max(Fraction(1), arrivals.in_busiest_hour * hours / arrivals.jobs)
    return measured(factor, arrivals.jobs)


def _hours(arrivals: Arrivals | None) -> Fraction:
    return Fraction(arrivals.last_ms - arrivals.first_ms, _HOUR_MS) if arrivals else Fraction(0)
