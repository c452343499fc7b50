"""The engine of the drill: no model, but a batch, a meter and a process like those of vLLM.

Every step takes the same time and gives one token to each request in the batch. A poisonous prompt
kills the process. What begins and what ends is written to a file, so that the drill can count how
often a job was generated.
"""

import json
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from penstock_shared import clock
from penstock_shared.ledger.worker_time import Spent
from penstock_workers.drill import script
from penstock_workers.engine import host
from penstock_workers.engine.meter import Meter
from penstock_workers.engine.protocol import (
    Completion,
    Ending,
    EngineConfig,
    EngineLimits,
    EngineRequest,
    Pulse,
)

ENGINE: Final = "penstock_workers.drill.engine"  # this module, which is also a process
RUNS_VARIABLE: Final = "DRILL_RUNS"  # no setting of Penstock, so without its prefix
STEP_S: Final = 0.005
_FATAL_STEP: Final = 3
_DEFAULT_LENGTH: Final = 4096
_DEFAULT_SEQUENCES: Final = 32


@dataclass
class _Running:
    """A request and how far it is."""

    request: EngineRequest
    token_ids: tuple[int, ...]
    is_poison: bool
    begun_ns: int = 0
    first_token_ns: int = 0
    done: int = 0

    @property
    def held_tokens(self) -> int:
        """Tokens that a KV cache would hold."""
        return len(self.request.prompt_token_ids) + self.done

    @property
    def length(self) -> int:
        """Tokens that it gets."""
        return min(len(self.token_ids), self.request.sampling.max_tokens)


class ScriptedEngine:
    """Answers as the script says; all methods belong to one thread."""

    def __init__(self, config: EngineConfig) -> None:
        self._limits = EngineLimits(
            max_model_len=config.options.get("max_model_len", _DEFAULT_LENGTH),
            max_num_seqs=config.options.get("max_num_seqs", _DEFAULT_SEQUENCES),
            kv_cache_tokens=None,
            weights_bytes=None,
        )
        self._meter = Meter(config.price_per_hour_pusd, config.started_ns)
        self._meter.advance(time.monotonic_ns(), {})
        self._running: dict[str, _Running] = {}
        self._waiting: deque[_Running] = deque()
        self._steps = 0
        self._runs = _Runs()

    @property
    def limits(self) -> EngineLimits:
        """What it can hold."""
        return self._limits

    @property
    def is_busy(self) -> bool:
        """True while requests are in it."""
        return bool(self._running or self._waiting)

    def add(self, request: EngineRequest) -> Completion | None:
        """Let a request wait for its place; one that the script refuses comes back at once."""
        self._book_idle()
        try:
            prompt = script.prompt_of(request.prompt_token_ids)
            token_ids = script.answer_ids(prompt)
        except ValueError as error:
            return _refused(request, str(error))
        if script.is_refused(prompt):
            return _refused(request, "the script refuses this prompt")
        self._waiting.append(_Running(request, token_ids, script.is_poison(prompt)))
        return None

    def step(self) -> list[Completion]:
        """Give every request in the batch one token; returns what finished."""
        self._fill()
        time.sleep(STEP_S)
        self._steps += 1
        now_ns = time.monotonic_ns()
        for running in self._running.values():
            running.done += 1
            running.first_token_ns = running.first_token_ns or now_ns
            if running.is_poison and running.done == min(_FATAL_STEP, running.length):
                _die()
        self._meter.advance(now_ns, {i: r.held_tokens for i, r in self._running.items()})
        ended = [running for running in self._running.values() if running.done >= running.length]
        return [self._completion(running, now_ns) for running in ended]

    def abort(self, request_ids: Sequence[str]) -> list[Completion]:
        """Stop requests; those still inside come back with Ending.ABORT."""
        wanted = set(request_ids)
        inside = [r.request.request_id for r in (*self._running.values(), *self._waiting)]
        self._waiting = deque(r for r in self._waiting if r.request.request_id not in wanted)
        return [self._aborted(request_id) for request_id in inside if request_id in wanted]

    def pulse(self) -> Pulse:
        """Sign of life; books the time up to now when nothing is in the engine."""
        self._book_idle()
        inside = len(self._running) + len(self._waiting)
        return Pulse(self._steps, inside, Spent(self._meter.paid, self._meter.idle))

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._limits.max_num_seqs:
            running = self._waiting.popleft()
            running.begun_ns = time.monotonic_ns()
            self._running[running.request.request_id] = running
            self._runs.note(running.request.request_id)

    def _book_idle(self) -> None:
        if not self.is_busy:
            self._meter.advance(time.monotonic_ns(), {})

    def _completion(self, running: _Running, now_ns: int) -> Completion:
        request = running.request
        del self._running[request.request_id]
        self._runs.note(request.request_id, finished=True)
        token_ids = running.token_ids[: running.length]
        is_whole = running.length == len(running.token_ids)
        return Completion(
            request_id=request.request_id,
            ending=Ending.STOP if is_whole else Ending.LENGTH,
            token_ids=token_ids,
            text=script.text_of(token_ids) if request.sampling.stop else "",
            cached_tokens=0,
            prefill_ms=_milliseconds(running.first_token_ns - running.begun_ns),
            decode_ms=_milliseconds(now_ns - running.first_token_ns),
            scheduled_ns=running.begun_ns,
            cost_pusd=self._meter.close(request.request_id),
        )

    def _aborted(self, request_id: str) -> Completion:
        self._running.pop(request_id, None)
        cost = self._meter.close(request_id)
        return Completion(request_id, Ending.ABORT, (), "", 0, 0, 0, 0, cost)


class _Runs:
    """The file of all runs; a line is one write, so that many processes can share it."""

    def __init__(self) -> None:
        path = os.environ.get(RUNS_VARIABLE)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = os.open(path, flags, 0o600) if path else None

    def note(self, job_id: str, *, finished: bool = False) -> None:
        """Write down that a job began, or that it finished."""
        if self._file is None:
            return
        line: dict[str, object] = {"job_id": job_id, "pid": os.getpid(), "at_ms": clock.now_ms()}
        if finished:
            line["finished"] = True
        os.write(self._file, json.dumps(line).encode() + b"\n")


def _refused(request: EngineRequest, error: str) -> Completion:
    return Completion(request.request_id, Ending.ERROR, (), "", 0, 0, 0, 0, 0, error)


def _milliseconds(nanoseconds: int) -> int:
    return nanoseconds // 1_000_000


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit  # the signal is there before this line


if __name__ == "__main__":
    host.main(ScriptedEngine)
