"""Tables and JSON of estimates, wrong lines and batches."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from penstock_producer.batch.estimating import Band, Estimate, TierEstimate
from penstock_producer.batch.preparing import Preparation
from penstock_producer.batch.reading import Source
from penstock_producer.cli import batch_words as words
from penstock_producer.cli.facts import on_one_line
from penstock_shared import money

ERRORS_SHOWN: Final = 20
SKIPPED_SHOWN: Final = 5
_SKIPPED_FACTS: Final = 100


def errors_table(preparation: Preparation, kind: str) -> Table:
    """The first wrong lines, or rows of this kind of input; escape has made them harmless."""
    number = "row" if kind in ("csv", "parquet") else "line"
    table = Table(number, "custom_id", "code", "what, and what to do", title_justify="left")
    table.title = f"{preparation.error_count:,} of {preparation.total:,} lines are wrong"
    for error in preparation.errors[:ERRORS_SHOWN]:
        cells = (error.custom_id or "", error.code, error.message)
        table.add_row(str(error.line), *(escape(on_one_line(cell)) for cell in cells))
    if preparation.error_count > ERRORS_SHOWN:
        table.caption = f"and {preparation.error_count - ERRORS_SHOWN:,} more"
    return table


def skipped_view(source: Source) -> str:
    """The first files of a folder that give no line, each on a line; "" without any."""
    if not source.skipped_count:
        return ""
    shown = [on_one_line(each) for each in source.skipped[:SKIPPED_SHOWN]]
    more = source.skipped_count - len(shown)
    rest = [f"and {more:,} more"] if more else []
    listed = "".join(f"  {each}\n" for each in shown + rest)
    return f"files that are passed over: {source.skipped_count:,}\n{listed}"


def skipped_facts(source: Source) -> dict[str, Any]:
    """The same for scripts, with the first hundred; nothing without any."""
    if not source.skipped_count:
        return {}
    return {"skipped_count": source.skipped_count, "skipped": source.skipped[:_SKIPPED_FACTS]}


def estimate_view(preparation: Preparation, estimate: Estimate) -> RenderableType:
    """Per tier and in all; what it rests on stands below."""
    tiers = estimate.tiers
    table = Table(show_footer=len(tiers) > 1)
    footers = (
        "all",
        f"{sum(tier.load.lines for tier in tiers):,}",
        _tokens(
            sum(tier.load.prompt_tokens for tier in tiers),
            sum(tier.answer_tokens for tier in tiers),
        ),
        "",
        _figure(estimate.cost_pusd, words.dollars_of),
        _figure(estimate.seconds, words.duration),
    )
    headings = ("tier", "lines", "tokens\nin + out", "$ / 1M", "cost", "time")
    for heading, footer in zip(headings, footers, strict=True):
        table.add_column(heading, footer, justify="left" if heading == "tier" else "right")
    for tier in tiers:
        table.add_row(*_cells(tier))
    what = (
        f"estimate of {preparation.valid:,} lines ({on_one_line(preparation.endpoint or '')}), "
        "without what the cache answers"
    )
    return Group(Text(what), table, *(Text(f"{tier.tier}: {basis(tier)}") for tier in tiers))


def estimate_facts(preparation: Preparation, estimate: Estimate) -> dict[str, Any]:
    """For scripts; money is exact decimals in USD, times are seconds."""
    return {
        "lines": preparation.total,
        "valid": preparation.valid,
        "invalid": preparation.error_count,
        "endpoint": preparation.endpoint,
        "tiers": {tier.tier: _tier_facts(tier) for tier in estimate.tiers},
        "cost_usd": _usd_facts(estimate.cost_pusd),
        "seconds": _second_facts(estimate.seconds),
    }


def error_facts(preparation: Preparation) -> list[dict[str, Any]]:
    """The wrong lines that are known, for scripts."""
    names = ("line", "custom_id", "code", "message", "param")
    return [{name: getattr(error, name) for name in names} for error in preparation.errors]


def basis(tier: TierEstimate) -> str:
    """What an estimate rests on, in words."""
    if tier.is_free:
        return "the encoder answers, free of charge; its time is not estimated"
    measured = (
        f"measured on {tier.measured_on:,} requests" if tier.measured_on else "assumed: no figures"
    )
    if not tier.workers:
        return f"{measured}; no worker runs, time of one"
    return f"{measured}; {tier.workers} worker{'' if tier.workers == 1 else 's'}"


def _cells(tier: TierEstimate) -> tuple[str, ...]:
    per_million = tier.cost_pusd.middle * 1_000_000 / tier.tokens if tier.tokens else Fraction(0)
    return (
        escape(tier.tier),
        f"{tier.load.lines:,}",
        _tokens(tier.load.prompt_tokens, tier.answer_tokens),
        words.dollars_of(per_million),
        _figure(tier.cost_pusd, words.dollars_of),
        _figure(tier.seconds, words.duration),
    )


def _tier_facts(tier: TierEstimate) -> dict[str, Any]:
    return {
        **tier.load._asdict(),
        "answer_tokens": tier.answer_tokens,
        "workers": tier.workers,
        "measured_on": tier.measured_on,
        "cost_usd": _usd_facts(tier.cost_pusd),
        "seconds": _second_facts(tier.seconds),
    }


def _tokens(prompt: int, answer: int) -> str:
    return f"{prompt:,}\n+ {answer:,}"


def _figure(band: Band, shown: Callable[[Fraction], str]) -> str:
    """What is expected, over the interval."""
    return f"{shown(band.middle)}\n{shown(band.low)} to {shown(band.high)}"


def _usd_facts(band: Band) -> dict[str, str]:
    return {name: usd(round(value)) for name, value in band._asdict().items()}


def _second_facts(band: Band) -> dict[str, float]:
    return {name: round(float(value), 3) for name, value in band._asdict().items()}


def usd(picodollars: int) -> str:
    """Exact, in USD."""
    return money.usd_text(money.to_usd(picodollars))


def bar(done: int, total: int, width: int = 8) -> str:
    """How much is done, and that it is not all as long as a line is open."""
    filled = width if done >= total else min(width - 1, width * done // max(1, total))
    return "█" * filled + "░" * (width - filled)


def age(ms: int, now_ms: int) -> str:
    """How long ago a moment was."""
    return words.duration(max(0, now_ms - ms) / 1000)
