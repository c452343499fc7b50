"""What quantization and speculation are worth in a tier whose ledger has jobs of both kinds."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from penstock_producer.plan.bill.figures import Figure, measured
from penstock_producer.plan.bill.month import Remedy, Speedup
from penstock_producer.plan.bill.options import Options
from penstock_producer.plan.bill.speed import charged_seconds
from penstock_shared.ledger.traffic import EngineWork
from penstock_shared.tier_settings import TierSettings

_ENOUGH: Final = 30  # jobs of each kind


def main_manner(work: list[EngineWork]) -> list[EngineWork]:
    """The jobs that were served as most of them were: quantized or not, with speculation or not."""
    jobs: dict[tuple[bool, bool], int] = {}
    for each in work:
        manner = _manner(each)
        jobs[manner] = jobs.get(manner, 0) + each.jobs
    if not jobs:
        return []
    most = max(jobs, key=lambda manner: jobs[manner])
    return _of_manner(work, most)


def speedups_of(
    tier: TierSettings, work: list[EngineWork], options: Options
) -> Mapping[Remedy, Speedup]:
    """Quantization, speculation and batch window of one tier."""
    main = main_manner(work)
    if main:
        is_quantized, has_speculation = _manner(main[0])
    else:
        is_quantized = tier.quantization is not None
        has_speculation = tier.speculative_config is not None
    return {
        Remedy.QUANTIZATION: Speedup(
            _compared(
                _of_manner(work, (True, has_speculation)),
                _of_manner(work, (False, has_speculation)),
            )
            or options.speedup(Remedy.QUANTIZATION),
            is_quantized,
        ),
        Remedy.SPECULATION: Speedup(
            _compared(
                _of_manner(work, (is_quantized, True)), _of_manner(work, (is_quantized, False))
            )
            or options.speedup(Remedy.SPECULATION),
            has_speculation,
        ),
        Remedy.BATCH_WINDOW: Speedup(options.speedup(Remedy.BATCH_WINDOW), in_force=False),
    }


def _compared(with_it: list[EngineWork], without: list[EngineWork]) -> Figure | None:
    """Charged seconds per token of answer, without over with; None: too few jobs of a kind."""
    jobs = [sum(each.jobs for each in some) for some in (with_it, without)]
    rates = [_seconds_per_token(some) for some in (with_it, without)]
    if min(jobs) < _ENOUGH or not all(rates):
        return None
    return measured(rates[1] / rates[0], sum(jobs))


def _seconds_per_token(work: list[EngineWork]) -> Fraction:
    tokens = sum(each.output for each in work)
    seconds = sum((charged_seconds(each) for each in work), Fraction(0))
    return seconds / tokens if tokens else Fraction(0)


def _of_manner(work: list[EngineWork], manner: tuple[bool, bool]) -> list[EngineWork]:
    return [each for each in work if _manner(each) == manner]


def _manner(work: EngineWork) -> tuple[bool, bool]:
    return work.is_quantized, work.has_speculation
