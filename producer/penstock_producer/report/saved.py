"""What was saved, each with the assumption that it rests on. Money is picodollars."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final, NamedTuple

from penstock_shared.ledger.reporting.overview import Hits
from penstock_shared.ledger.reporting.read import Findings
from penstock_shared.ledger.reporting.savings import Manner, Work

ENOUGH: Final = 30  # jobs that a price is measured on
Money = Callable[[int], str]


class Saving(NamedTuple):
    """One saving, or why there is none to tell."""

    what: str
    tier: str
    requests: int
    saved_pusd: int | None  # None: not measured
    basis: str


def savings_of(findings: Findings, largest: str, money: Money) -> list[Saving]:
    """All of them, in the order in which a report has them. ``money`` writes an amount."""
    rates = {work.tier: work for work in findings.all_work if _is_measured(work)}
    return [
        *_cache(findings, rates, money),
        *_routing(findings, rates.get(largest), largest, money),
        *_manners(findings.manners, "speculation", money),
        *_manners(findings.manners, "quantization", money),
    ]


def _is_measured(work: Work) -> bool:
    return work.requests >= ENOUGH and work.tokens > 0


def _cache(findings: Findings, rates: dict[str, Work], money: Money) -> Iterator[Saving]:
    if not findings.hits:
        yield Saving("cache", "", 0, 0, "no answer came from the cache")
    for hits in findings.hits:
        yield Saving("cache, then", hits.tier, hits.requests, hits.then_pusd, _then(hits))
    for hits in findings.hits:
        yield _now(hits, rates.get(hits.tier), money)
    for tier, cost in sorted(findings.comparisons.items()):
        if cost:
            yield Saving(
                "cache, comparisons",
                tier,
                0,
                -cost,
                "answers that the engine gave only to be compared with cached ones",
            )


def _then(hits: Hits) -> str:
    basis = "what these answers cost when they were made"
    if not hits.unknown:
        return basis
    return f"{basis}; for {hits.unknown:,} of them that is not known, or was 0"


def _now(hits: Hits, rate: Work | None, money: Money) -> Saving:
    if rate is None:
        return Saving(
            "cache, now",
            hits.tier,
            hits.requests,
            None,
            f"not measured: fewer than {ENOUGH} answers of its engine in this period",
        )
    saved = round(Fraction(hits.tokens * rate.amount_pusd, rate.tokens))
    return Saving(
        "cache, now",
        hits.tier,
        hits.requests,
        saved,
        f"the same tokens at what its engine takes now: {_rate(rate, money)}",
    )


def _routing(findings: Findings, rate: Work | None, largest: str, money: Money) -> Iterator[Saving]:
    smaller = [work for work in findings.work if work.tier != largest]
    if not smaller:
        yield Saving("routing", "", 0, 0, f"no engine but that of tier {largest} answered")
    elif rate is None:
        yield Saving(
            "routing",
            "",
            sum(work.requests for work in smaller),
            None,
            f"not measured: fewer than {ENOUGH} answers of tier {largest} in this period",
        )
    else:
        for work in smaller:
            there = round(Fraction(work.tokens * rate.amount_pusd, rate.tokens))
            yield Saving(
                "routing",
                work.tier,
                work.requests,
                there - work.amount_pusd,
                f"assumed: on tier {largest} they had taken as many tokens, each at what a token "
                f"cost the jobs there: {_rate(rate, money)}",
            )


def _rate(work: Work, money: Money) -> str:
    per_1000 = round(Fraction(1000 * work.amount_pusd, work.tokens))
    return f"{money(per_1000)} per 1,000 tokens, measured on {work.requests:,} jobs of this period"


def _manners(manners: list[Manner], what: str, money: Money) -> Iterator[Saving]:
    """Jobs with it against jobs without it, of the same tier and model, alike in all else."""
    is_speculation = what == "speculation"
    split: dict[tuple[str, str, bool], dict[bool, Manner]] = {}
    for manner in manners:
        other = manner.is_quantized if is_speculation else manner.has_speculation
        has_it = manner.has_speculation if is_speculation else manner.is_quantized
        split.setdefault((manner.tier, manner.model, other), {})[has_it] = manner
    found = [
        _compared(what, pair[True], pair[False], money)
        for pair in split.values()
        if len(pair) > 1 and all(_is_enough(each) for each in pair.values())
    ]
    yield from found
    if not found:
        yield Saving(
            what,
            "",
            0,
            None,
            f"not measured: no tier has {ENOUGH} jobs of the same "
            "model with it, and as many without",
        )


def _is_enough(manner: Manner) -> bool:
    return manner.requests >= ENOUGH and manner.tokens > 0


def _compared(what: str, with_it: Manner, without: Manner, money: Money) -> Saving:
    instead = round(Fraction(with_it.tokens * without.amount_pusd, without.tokens))
    work = Work(without.tier, without.requests, without.tokens, without.amount_pusd)
    return Saving(
        what,
        with_it.tier,
        with_it.requests,
        instead - with_it.amount_pusd,
        f"{with_it.model}: the same tokens without it: {_rate(work, money)}",
    )
