"""What a completion or a cache hit means for the jobs that waited for it. Pure functions."""

from collections.abc import Sequence
from typing import Final

from penstock_shared.ledger.settling import Answer, Settlement
from penstock_shared.request import Request
from penstock_shared.speculative_options import method_of
from penstock_shared.tier_settings import TierSettings
from penstock_shared.words import JobState, Source
from penstock_workers.cache.cache import Hit
from penstock_workers.engine.protocol import Completion
from penstock_workers.flights import Passenger
from penstock_workers.rendering import Renderer

# vLLM gives no reason when it cannot compile a grammar.
_UNEXPLAINED: Final = {
    False: "the engine ended this request with an error",
    True: "the engine ended this request with an error; it may not support this response_format",
}


def text_of(completion: Completion, request: Request, renderer: Renderer) -> str:
    """The engine writes text only where there are stop strings; else it is decoded here."""
    return completion.text if request.sampling.stop else renderer.decode(completion.token_ids)


def engine_answer(
    tier: TierSettings,
    completion: Completion,
    text: str,
    *,
    prompt_tokens: int,
    queue_ms: int,
    near_miss: str | None = None,
) -> Answer:
    """The answer that the engine gave."""
    config = tier.speculative_config
    return Answer(
        text=text,
        finish_reason=completion.ending.value,
        source=Source.ENGINE,
        model=tier.model,
        revision=tier.revision,
        quantization=tier.quantization,
        speculation=method_of(config) if config else None,
        prompt_tokens=prompt_tokens,
        cached_tokens=completion.cached_tokens,
        completion_tokens=len(completion.token_ids),
        queue_ms=max(0, queue_ms),
        prefill_ms=completion.prefill_ms,
        decode_ms=completion.decode_ms,
        near_miss=near_miss,
    )


def cached_answer(tier: TierSettings, hit: Hit, *, queue_ms: int) -> Answer:
    """The answer that the cache gave."""
    entry = hit.entry
    return Answer(
        text=entry.text,
        finish_reason=entry.finish_reason,
        source=hit.source,
        model=tier.model,
        revision=tier.revision,
        quantization=tier.quantization,
        speculation=None,
        prompt_tokens=entry.prompt_tokens,
        cached_tokens=0,
        completion_tokens=entry.completion_tokens,
        queue_ms=max(0, queue_ms),
        prefill_ms=0,
        decode_ms=0,
        source_detail=hit.reason,
        entry_id=entry.entry_id,
        saved_pusd=entry.charge_pusd,
    )


def joined(passengers: Sequence[Passenger], paid: Settlement) -> list[Settlement]:
    """Jobs that had the same prompt as one in the engine: the same answer, free."""
    if paid.answer is None:
        return []
    detail = f"same prompt as job {paid.claim.job_id}, which was in the engine"
    answer = paid.answer._replace(
        source=Source.JOINED, source_detail=detail, saved_pusd=paid.cost_pusd
    )
    return [
        Settlement(
            p.lookup.claim, JobState.SUCCEEDED, 0, answer._replace(near_miss=p.lookup.near_miss)
        )
        for p in passengers
    ]


def failed(passengers: Sequence[Passenger], error: str | None, cost_pusd: int) -> list[Settlement]:
    """Jobs whose request the engine refused; the first bears what was spent."""
    reason = error or _UNEXPLAINED[passengers[0].lookup.claim.request.response_format is not None]
    return [
        Settlement(p.lookup.claim, JobState.FAILED, cost_pusd if number == 0 else 0, error=reason)
        for number, p in enumerate(passengers)
    ]


def withdrawn(passenger: Passenger, cost_pusd: int) -> Settlement:
    """A job that no longer wanted its answer."""
    state = passenger.verdict or JobState.CANCELLED
    return Settlement(passenger.lookup.claim, state, cost_pusd, error=passenger.reason)
