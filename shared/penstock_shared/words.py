"""The words of Penstock, one for each thing, as they stand in code, tables and metrics."""

from enum import StrEnum


class TaskType(StrEnum):
    """What kind of task a prompt asks for; the router's main signal."""

    FACTUAL_QA = "factual_qa"
    CODE = "code"
    REASONING = "reasoning"
    TRANSLATION = "translation"
    SUMMARIZATION = "summarization"
    LONG_CONTEXT = "long_context"
    CREATIVE = "creative"
    CHAT = "chat"


class RequestKind(StrEnum):
    """What a request asks for."""

    CHAT = "chat"  # an answer to messages, rendered with the model's chat template
    COMPLETION = "completion"  # the continuation of one text, to the letter
    EMBEDDING = "embedding"  # vectors of texts, by the encoder


class JobState(StrEnum):
    """Where a job stands. ``queued`` and ``running`` are open, the others are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # its request cannot be served, today or later
    CANCELLED = "cancelled"  # the caller withdrew it
    EXPIRED = "expired"  # its deadline passed first
    DEAD = "dead"  # every attempt that it may have was lost

    @property
    def is_terminal(self) -> bool:
        """True when no worker will change this job any more; an operator may retry a dead one."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class BatchState(StrEnum):
    """Where a batch stands. Workers take lines of a running one only."""

    RUNNING = "running"
    PAUSED = "paused"  # by an operator, or because its money is spent
    CANCELLED = "cancelled"
    COMPLETED = "completed"  # every line has ended

    @property
    def is_terminal(self) -> bool:
        """True when only a retry of failed lines makes it go on."""
        return self in {BatchState.CANCELLED, BatchState.COMPLETED}


class Source(StrEnum):
    """Where an answer came from."""

    ENGINE = "engine"
    EXACT = "exact"  # the cache had this very prompt
    SEMANTIC = "semantic"  # the cache had a prompt that means the same
    JOINED = "joined"  # an identical prompt was in the engine already
    ENCODER = "encoder"  # vectors, made beside the engine

    @property
    def is_cached(self) -> bool:
        """True when nothing was computed for this job."""
        return self not in {Source.ENGINE, Source.ENCODER}


class Metering(StrEnum):
    """By what the price of an engine's step is divided among the requests in it."""

    KV = "kv"  # tokens held in the KV cache
    COMPUTED = "computed"  # tokens computed in the step


class AttemptOutcome(StrEnum):
    """How one claim ended."""

    CLAIMED = "claimed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RELEASED = "released"  # given back unfinished: drain, shutdown
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LOST = "lost"  # the lease ran out: the worker died or froze
