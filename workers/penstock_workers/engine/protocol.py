"""What a worker wants from an engine, and the values that pass between them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from penstock_shared.ledger.worker_time import Spent
from penstock_shared.request import Sampling
from penstock_shared.response_format import ResponseFormat
from penstock_shared.words import Metering


class EngineConfig(NamedTuple):
    """All that an engine needs to start; plain values that another process can receive."""

    model: str
    price_per_hour_pusd: int
    started_ns: int  # time.monotonic_ns when the worker's life began
    options: dict[str, Any]  # keyword arguments of vLLM's EngineArgs
    environment: dict[str, str]
    cpus: tuple[int, ...]
    metering: Metering = Metering.KV
    interactive_slowdown: float = 1.6  # of foreground requests by background ones, at most


class EngineLimits(NamedTuple):
    """What a loaded engine can hold."""

    max_model_len: int  # tokens of prompt and answer together
    max_num_seqs: int  # requests at once
    kv_cache_tokens: int | None  # tokens of all requests; None: vLLM does not say
    weights_bytes: int | None  # on all devices; None: vLLM does not say


class EngineRequest(NamedTuple):
    """One prompt on its way into the engine."""

    request_id: str
    prompt_token_ids: tuple[int, ...]
    sampling: Sampling
    cache_salt: str  # keeps tenants apart in the prefix cache
    response_format: ResponseFormat | None = None  # what the answer must be; None: text
    background: bool = False  # no caller waits: it fills the room that others leave


class Ending(StrEnum):
    """How the engine ended a request."""

    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"
    ERROR = "error"

    @property
    def is_answer(self) -> bool:
        """Only these endings may be stored, cached and charged."""
        return self in {Ending.STOP, Ending.LENGTH}


class Speculation(NamedTuple):
    """What speculative decoding did for one request."""

    steps: int  # of the engine, in which drafts were verified
    drafted: int  # tokens
    accepted: int  # tokens of them that the model would have written too


class Completion(NamedTuple):
    """What the engine made of one request. It writes ``text`` only where there are stop strings."""

    request_id: str
    ending: Ending
    token_ids: tuple[int, ...]
    text: str
    cached_tokens: int
    prefill_ms: int
    decode_ms: int
    scheduled_ns: int  # time.monotonic_ns of the first step, 0 when there was none
    cost_pusd: int
    error: str | None = None
    speculation: Speculation | None = None  # None: the engine does not speculate


class Pulse(NamedTuple):
    """The engine's sign of life."""

    steps: int
    running: int
    spent: Spent


class Engine(Protocol):
    """A resident engine that batches continuously."""

    @property
    def limits(self) -> EngineLimits:
        """What it can hold, once it is loaded."""

    def submit(self, requests: Sequence[EngineRequest]) -> None:
        """Add requests; each comes back through ``on_completions`` exactly once."""

    def abort(self, request_ids: Sequence[str]) -> None:
        """Stop requests; they come back with Ending.ABORT."""

    def write_off(self, cost_pusd: int) -> None:
        """Note that a completion's cost is waste of which no attempt of a job knows."""

    def pulse(self) -> Pulse:
        """The latest sign of life, with all that was written off."""


class HostedEngine(Protocol):
    """An engine in its own process; all its methods belong to the thread that steps it."""

    @property
    def limits(self) -> EngineLimits:
        """What it can hold."""

    @property
    def is_busy(self) -> bool:
        """True while requests are in it."""

    def add(self, request: EngineRequest) -> Completion | None:
        """Add a request; one that is refused comes back with Ending.ERROR, here or from a step."""

    def step(self) -> list[Completion]:
        """Run one step; returns what ended in it."""

    def abort(self, request_ids: Sequence[str]) -> list[Completion]:
        """Stop requests; those still inside come back with Ending.ABORT."""

    def pulse(self) -> Pulse:
        """Sign of life."""
