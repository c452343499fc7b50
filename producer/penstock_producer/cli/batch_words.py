"""Batches in words: durations, money, progress, what is waited for. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from penstock_producer.batch.pausing import BY_OPERATOR
from penstock_producer.batch.running import Progress
from penstock_producer.batch.time_left import TimeLeft
from penstock_shared import money
from penstock_shared.words import BatchState

_MINUTE: Final = 60
_TEN_MINUTES: Final = 600
_HOUR: Final = 3600
_DAY: Final = 86_400
_TENTHS_BELOW_S: Final = 10
_DIGITS: Final = 3  # of an amount of money that people read


def duration(seconds: Fraction | float) -> str:
    """As people say it: 0.4 s, 12 s, 3 min 20 s, 25 min, 2 h 05 min, 3 d 4 h."""
    if seconds < _TENTHS_BELOW_S:
        return f"{float(seconds):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _TEN_MINUTES:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def dollars(amount: Decimal) -> str:
    """With as many digits as say something: $12.30, $0.00123."""
    if amount >= Decimal("0.1") or not amount:
        return f"${amount:,.2f}"
    digits = _DIGITS - 1 - amount.adjusted()
    return "$" + money.usd_text(round(amount, digits))


def dollars_of(picodollars: Fraction | int) -> str:
    """The same for picodollars, rounded to whole ones."""
    return dollars(money.to_usd(round(picodollars)))


def left_in_words(left: TimeLeft | None) -> str:
    """The interval, or that it is not known yet."""
    if left is None:
        return "time left: not known yet"
    if left.high_s is None:
        return f"at least {duration(left.low_s)} left"
    low, high = duration(left.low_s), duration(left.high_s)
    return f"{low} left" if low == high else f"{low} to {high} left"


def progress_in_words(
    progress: Progress, left: TimeLeft | None, tokens_per_s: float | None, idle_tiers: Sequence[str]
) -> str:
    """One line with everything, for a log."""
    facts = [
        f"{ended(progress):,} of {progress.total:,} done",
        f"{progress.failed:,} failed",
        f"{progress.cached:,} cached",
    ]
    if tokens_per_s is not None:
        facts.append(f"{tokens_per_s:,.0f} tokens/s")
    facts += [f"{dollars(progress.cost_usd)} spent", *_last_words(progress, left, idle_tiers)]
    return " · ".join(facts)


def ended(progress: Progress) -> int:
    """Lines that no worker will change any more."""
    return progress.succeeded + progress.failed


def waiting_in_words(progress: Progress, idle_tiers: Sequence[str]) -> str | None:
    """What the batch is doing when it is not simply answering lines."""
    if progress.state == BatchState.PAUSED:
        return f"paused: {progress.stopped_by or BY_OPERATOR}; running lines still end"
    if progress.state == BatchState.CANCELLED:
        return "cancelled; running lines end within a heartbeat"
    words = []
    if progress.loaded < progress.total:
        words.append(f"loading, {progress.loaded:,} of {progress.total:,} are in the ledger")
    words += [
        f"no worker of tier {tier} runs: its lines wait (penstock-worker run --tier {tier})"
        for tier in idle_tiers
    ]
    if not words and not progress.running and progress.queued:
        words.append("waiting for workers to have room")
    return "; ".join(words) or None


def _last_words(progress: Progress, left: TimeLeft | None, idle_tiers: Sequence[str]) -> list[str]:
    waiting = waiting_in_words(progress, idle_tiers)
    is_open = progress.state == BatchState.RUNNING and ended(progress) < progress.total
    return ([left_in_words(left)] if is_open else []) + ([waiting] if waiting else [])
