"""What a caller gets: the job's state and, when it succeeded, the answer and its price."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, JsonValue, computed_field, field_serializer

from penstock_shared import errors, money
from penstock_shared.words import JobState, RequestKind, Source, TaskType


class Result(BaseModel):
    """A job as the ledger has it now. Times are whole milliseconds; tokens are counts.

    ``cached_tokens`` of the prompt came from the engine's prefix cache. ``queue_ms`` runs from
    submit to the first engine step, ``prefill_ms`` to the first token, ``decode_ms`` to the last.
    ``entry_id`` is the cache's entry that answered, ``saved_usd`` what its answer cost when it was
    made; ``near_miss`` says which entry was near and why it did not answer.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    job_id: str
    status: JobState
    text: str | None = None
    tier: str
    reason: str
    task_type: TaskType
    kind: RequestKind = RequestKind.CHAT
    tenant: str
    workflow: str | None = None
    source: Source | None = None
    source_detail: str | None = None
    entry_id: int | None = None
    near_miss: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    revision: str | None = None
    quantization: str | None = None
    speculation: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    queue_ms: int | None = None
    prefill_ms: int | None = None
    decode_ms: int | None = None
    latency_ms: int | None = None
    charge_usd: Decimal | None = None
    saved_usd: Decimal | None = None
    attempts: int = 0
    error: str | None = None
    metadata: dict[str, JsonValue] = {}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def cached(self) -> bool:
        """True when nothing was computed for this job."""
        return self.source is not None and self.source.is_cached

    @field_serializer("charge_usd", "saved_usd")
    def _plain_decimal(self, amount: Decimal | None) -> str | None:
        return None if amount is None else money.usd_text(amount)

    def raise_for_status(self) -> None:
        """Raise the error of a job that ended without an answer; return for all others."""
        error = _ERRORS.get(self.status)
        if error is not None:
            raise error(f"job {self.job_id} {self.status.value}: {self.error or 'no reason kept'}")


_ERRORS: dict[JobState, type[errors.JobNotSucceeded]] = {
    JobState.FAILED: errors.JobFailed,
    JobState.CANCELLED: errors.JobCancelled,
    JobState.EXPIRED: errors.JobExpired,
    JobState.DEAD: errors.JobDead,
}
