"""The only file that knows vLLM: one engine in this process, stepped by its caller, metered."""

import time
from collections.abc import Sequence
from typing import Any

from vllm import EngineArgs, SamplingParams
from vllm.exceptions import VLLMClientError
from vllm.inputs.engine import tokens_input
from vllm.model_executor.layers.linear import UnquantizedLinearMethod
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.llm_engine import LLMEngine

from penstock_shared.ledger.worker_time import Spent
from penstock_shared.response_format import JsonSchemaFormat, ResponseFormat, TextFormat
from penstock_shared.words import Metering
from penstock_workers.engine.meter import Meter
from penstock_workers.engine.protocol import (
    Completion,
    Ending,
    EngineConfig,
    EngineLimits,
    EngineRequest,
    Pulse,
    Speculation,
)
from penstock_workers.engine.share import Share
from penstock_workers.engine.weighing import scale_for
from penstock_workers.engine.yielding import BACKGROUND, FOREGROUND, Yielding


class VllmEngine:
    """vLLM with its scheduler in this process; all methods belong to one thread."""

    def __init__(self, config: EngineConfig) -> None:
        options = {"scheduling_policy": "priority", **config.options}
        if options.get("speculative_config"):
            options["per_request_spec_decode_metrics"] = "summary"
        self._engine = LLMEngine.from_engine_args(
            EngineArgs(model=config.model, disable_log_stats=False, **options)
        )
        self._limits = _limits_of(self._engine)
        self._scheduler = self._engine.engine_core.engine_core.scheduler
        self._meter = Meter(config.price_per_hour_pusd, config.started_ns)
        self._scale = scale_for(self._scheduler, Metering(config.metering))
        self._yielding = Yielding(
            self._scheduler, Share(config.interactive_slowdown), time.monotonic
        )
        self._held: dict[str, EngineRequest] = {}  # background requests before vLLM, in order
        self._names: dict[str, str] = {}  # vLLM's id of a request -> ours
        self._internal: dict[str, str] = {}
        self._weights: dict[str, int] = {}  # by vLLM's id, of the requests in the last step
        self._steps = 0
        self._watch_steps()
        self._book()

    @property
    def limits(self) -> EngineLimits:
        """What it can hold."""
        return self._limits

    @property
    def is_busy(self) -> bool:
        """True while requests are in the engine."""
        return bool(self._names or self._held)

    def add(self, request: EngineRequest) -> Completion | None:
        """Add a request; one that vLLM refuses comes back at once with Ending.ERROR.

        One in the background waits here until there is room, and is refused in the step that
        would let it in.
        """
        if request.background:
            self._held[request.request_id] = request
            return None
        return self._enter(request)

    def step(self) -> list[Completion]:
        """Run one step of the engine and book its price; returns what ended in it."""
        refused = self._let_in()
        start = time.monotonic()
        outputs = self._engine.step()
        self._yielding.book(time.monotonic() - start)
        self._steps += 1
        self._book()
        ended = [output for output in outputs if output.finished]
        return [*refused, *(self._completion(output) for output in ended)]

    def abort(self, request_ids: Sequence[str]) -> list[Completion]:
        """Stop requests; those still in the engine come back with Ending.ABORT."""
        held = [request_id for request_id in request_ids if self._held.pop(request_id, None)]
        inside = [request_id for request_id in request_ids if request_id in self._internal]
        self._book()
        self._engine.abort_request(inside)
        costs = dict.fromkeys(held, 0) | {i: self._close(i) for i in inside}
        return [_aborted(request_id, cost) for request_id, cost in costs.items()]

    def pulse(self) -> Pulse:
        """Sign of life; books the time up to now when nothing is in the engine."""
        self._book_idle()
        running = len(self._names) + len(self._held)
        return Pulse(self._steps, running, Spent(self._meter.paid, self._meter.idle))

    def _let_in(self) -> list[Completion]:
        """Let background requests into vLLM while there is room; returns those it refuses."""
        refused = []
        while self._held and len(self._names) < self._limits.max_num_seqs:
            request = next(iter(self._held.values()))
            if not self._yielding.lets_in(len(request.prompt_token_ids)):
                break
            del self._held[request.request_id]
            if (completion := self._enter(request)) is not None:
                refused.append(completion)
        return refused

    def _enter(self, request: EngineRequest) -> Completion | None:
        prompt = tokens_input(list(request.prompt_token_ids), cache_salt=request.cache_salt)
        self._book_idle()
        try:
            internal = self._engine.add_request(
                request.request_id,
                prompt,
                _sampling_params(request),
                priority=BACKGROUND if request.background else FOREGROUND,
            )
        except Exception as error:
            # The backends of grammars raise what they like; anything else is no fault of a request.
            known = isinstance(error, ValueError | VLLMClientError)
            if not known and request.response_format is None:
                raise
            self._engine.abort_request([request.request_id])
            reason = " ".join(str(error).split()) or type(error).__name__
            return _failed(request.request_id, reason, 0)
        self._names[internal] = request.request_id
        self._internal[request.request_id] = internal
        self._yielding.add(internal, background=request.background)
        return None

    def _book_idle(self) -> None:
        if not self._names:
            self._book()

    def _book(self) -> None:
        """Book the time up to now to the requests that are inside, by the last step's weights."""
        weights = self._weights or dict.fromkeys(self._names, 0)
        self._meter.advance(time.monotonic_ns(), weights)

    def _watch_steps(self) -> None:
        """Weigh the requests of every step when it was computed, before those that end leave."""
        update = self._scheduler.update_from_output

        def weigh_and_update(step: Any, *arguments: Any, **named: Any) -> Any:
            self._note_weights(step)
            self._yielding.note(step)
            return update(step, *arguments, **named)

        self._scheduler.update_from_output = weigh_and_update

    def _note_weights(self, step: Any) -> None:
        self._weights = self._scale.weigh(step, self._names)

    def _completion(self, output: Any) -> Completion:
        sequence, stats = output.outputs[0], output.metrics
        return Completion(
            request_id=output.request_id,
            ending=_ending(sequence.finish_reason),
            token_ids=tuple(sequence.token_ids),
            text=sequence.text,
            cached_tokens=output.num_cached_tokens or 0,
            prefill_ms=round((stats.first_token_ts - stats.scheduled_ts) * 1000),
            decode_ms=round((stats.last_token_ts - stats.first_token_ts) * 1000),
            scheduled_ns=round(stats.scheduled_ts * 1e9),
            cost_pusd=self._close(output.request_id),
            speculation=_speculation(sequence.spec_decode_metrics),
        )

    def _close(self, request_id: str) -> int:
        """Forget a request; returns what it cost, in picodollars."""
        internal = self._internal.pop(request_id)
        del self._names[internal]
        self._weights.pop(internal, None)
        self._yielding.remove(internal)
        return self._meter.close(internal)


def _limits_of(engine: LLMEngine) -> EngineLimits:
    config = engine.vllm_config
    return EngineLimits(
        max_model_len=config.model_config.max_model_len,
        max_num_seqs=config.scheduler_config.max_num_seqs,
        kv_cache_tokens=config.cache_config.kv_cache_size_tokens,
        weights_bytes=_weights_bytes_of(engine),
    )


def _weights_bytes_of(engine: LLMEngine) -> int | None:
    try:
        of_devices = engine.apply_model(_bytes_of)
    except Exception:  # noqa: BLE001 - not every executor can send a function to its devices
        return None
    return None if None in of_devices else sum(of_devices)


def _bytes_of(model: Any) -> int | None:
    """Parameters and buffers of a model; None where a kernel has packed them out of sight."""
    tensors = (*model.parameters(), *model.buffers())
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    for layer in model.modules():
        weight = getattr(layer, "weight", None)
        if weight is None or weight.numel():
            continue
        # On a CPU, vLLM packs the weight of a linear layer elsewhere and leaves an empty one.
        if not isinstance(getattr(layer, "quant_method", None), UnquantizedLinearMethod):
            return None
        inputs = getattr(layer, "input_size_per_partition", layer.input_size)
        outputs = getattr(layer, "output_size_per_partition", layer.output_size)
        total += inputs * outputs * weight.element_size()
    return int(total)


def _sampling_params(request: EngineRequest) -> SamplingParams:
    sampling = request.sampling
    options = sampling.model_dump()
    options["stop"] = list(sampling.stop)
    # Without stop strings nobody needs the text in the engine's process: the worker decodes.
    return SamplingParams(
        **options,
        detokenize=bool(sampling.stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
        structured_outputs=_structured_outputs(request.response_format),
    )


def _structured_outputs(wanted: ResponseFormat | None) -> StructuredOutputsParams | None:
    if wanted is None or isinstance(wanted, TextFormat):
        return None
    if isinstance(wanted, JsonSchemaFormat):
        return StructuredOutputsParams(json=wanted.definition)
    return StructuredOutputsParams(json_object=True)


def _speculation(metrics: Any) -> Speculation | None:
    if metrics is None:
        return None
    accepted = sum(number * steps for number, steps in enumerate(metrics.histogram))
    return Speculation(sum(metrics.histogram), metrics.num_draft_tokens, accepted)


def _ending(finish_reason: str | None) -> Ending:
    known = {ending.value: ending for ending in Ending}
    return known.get(finish_reason or "", Ending.ERROR)


def _aborted(request_id: str, cost_pusd: int) -> Completion:
    return Completion(request_id, Ending.ABORT, (), "", 0, 0, 0, 0, cost_pusd)


def _failed(request_id: str, error: str, cost_pusd: int) -> Completion:
    return Completion(request_id, Ending.ERROR, (), "", 0, 0, 0, 0, cost_pusd, error)
