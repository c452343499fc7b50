"""The router: a pure function of the request and the settings."""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

from penstock_shared.errors import ContextTooLong, InvalidRequest, UnknownTier
from penstock_shared.request import Request
from penstock_shared.settings import Rule, Settings
from penstock_shared.signals import Signals, read_signals
from penstock_shared.words import RequestKind, TaskType

_BESIDE: Final = "an embedding: the encoder runs beside the engine, so the cheapest tier"


class Route(NamedTuple):
    """Where a job goes, and why."""

    tier: str
    reason: str
    task_type: TaskType


def route(request: Request, settings: Settings, *, sent_to: str | None = None) -> Route:
    """Choose the tier of a request.

    An explicit tier comes first (``sent_to`` is the tier in whose queue a foreign Celery app put
    the job), then the first rule of the policy that the request meets. A tier that may not serve
    the task type, failed its gate for it, or cannot hold the context, is passed over for the next
    larger one. An embedding goes to the cheapest tier, because no engine sees it: neither gates nor
    task types nor an engine's context apply.

    Raises UnknownTier, ContextTooLong, and InvalidRequest when the tiers that could hold the
    request may not serve its task type.
    """
    signals = read_signals(
        request,
        bytes_per_token=settings.routing.bytes_per_token,
        long_context_tokens=settings.routing.long_context_tokens,
    )
    explicit = request.tier or sent_to
    if explicit is not None:
        _check_explicit(explicit, request, signals, settings)
        reason = "the caller chose this tier" if request.tier else "sent to this tier's queue"
        return Route(explicit, reason, signals.task_type)
    if signals.kind is RequestKind.EMBEDDING:
        return Route(_cheapest(settings), _BESIDE, signals.task_type)
    rule = next((r for r in settings.routing.rules if _meets(signals, r)), None)
    if rule is None:
        first, why = settings.largest_tier, "no rule applies, so the largest tier"
    else:
        first, why = rule.tier, f"rule '{rule.name}': {_facts(signals)}"
    return _first_that_can(first, why, request, signals, settings)


def _cheapest(settings: Settings) -> str:
    return min(settings.tiers, key=lambda tier: (settings.tiers[tier].price_per_hour, tier))


def _meets(signals: Signals, rule: Rule) -> bool:
    limits = (
        (signals.words, rule.max_words),
        (signals.prompt_tokens, rule.max_prompt_tokens),
        (signals.reasoning, rule.max_reasoning_signals),
    )
    return signals.task_type in rule.task_types and all(
        most is None or value <= most for value, most in limits
    )


def _facts(signals: Signals) -> str:
    facts = f"{signals.task_type.value}, {_count(signals.words, 'word')}"
    return (
        f"{facts}, {_count(signals.reasoning, 'reasoning signal')}" if signals.reasoning else facts
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _first_that_can(
    first: str, why: str, request: Request, signals: Signals, settings: Settings
) -> Route:
    passed: list[str] = []
    for tier in _from(first, settings):
        obstacle = _obstacle(tier, request, signals, settings)
        if obstacle is None:
            reason = "; ".join([why, *passed])
            return Route(tier, reason, signals.task_type)
        passed.append(obstacle)
    if not any(_holds(tier, request, signals, settings) for tier in settings.tiers):
        raise _too_long(settings.largest_tier, request, signals, settings)
    raise InvalidRequest(
        f"no tier that can hold this request may serve {signals.task_type.value}: "
        f"{'; '.join(passed)}; change task_types of a tier in penstock.toml, or name the tier"
    )


def _from(first: str, settings: Settings) -> Iterator[str]:
    yield first
    yield from _larger_than(first, settings)  # mostly, nobody asks for them


def _larger_than(tier: str, settings: Settings) -> list[str]:
    floor = _context(tier, settings)
    larger = [t for t in settings.tiers if t != tier and _context(t, settings) >= floor]
    return sorted(larger, key=lambda t: (settings.tiers[t].price_per_hour, t))


def _obstacle(tier: str, request: Request, signals: Signals, settings: Settings) -> str | None:
    if signals.task_type not in settings.tiers[tier].task_types:
        return f"{tier} may not serve {signals.task_type.value}"
    gate = settings.gates.get(tier, {}).get(signals.task_type)
    if gate is not None and not gate.passed:
        return f"{tier} failed its gate for {signals.task_type.value} ({gate.why})"
    if not _holds(tier, request, signals, settings):
        return f"too long for {tier} ({_context(tier, settings):,} tokens)"
    return None


def _context(tier: str, settings: Settings) -> float:
    # What the settings do not know, the tier's worker counts exactly once it has the job.
    return settings.tiers[tier].context_tokens or math.inf


def _holds(tier: str, request: Request, signals: Signals, settings: Settings) -> bool:
    if signals.kind is RequestKind.EMBEDDING:
        return True  # the encoder has a limit of its own, and its worker knows it
    needed = signals.prompt_tokens + request.sampling.max_tokens
    return needed <= _context(tier, settings)


def _check_explicit(tier: str, request: Request, signals: Signals, settings: Settings) -> None:
    if tier not in settings.tiers:
        raise UnknownTier(f"there is no tier {tier!r}; the tiers are {', '.join(settings.tiers)}")
    if not _holds(tier, request, signals, settings):
        raise _too_long(tier, request, signals, settings)


def _too_long(tier: str, request: Request, signals: Signals, settings: Settings) -> ContextTooLong:
    return ContextTooLong(
        f"the prompt (about {signals.prompt_tokens:,} tokens) and max_tokens "
        f"({request.sampling.max_tokens:,}) do not fit into the "
        f"{_context(tier, settings):,} tokens of tier {tier!r}; "
        "shorten the prompt or lower max_tokens"
    )
