"""The engine's process: receives requests over a pipe, steps the engine, sends completions.

The interpreter lock of this process belongs to the engine alone, so that Celery, the ledger and
the encoder never make a step wait; and when the engine dies, the worker lives to say so.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Final

from penstock_workers.engine.messages import Abort, Close, Completions, Failure, Ready, Submit
from penstock_workers.engine.protocol import Completion, EngineConfig, HostedEngine

PULSE_S: Final = 0.5
_PR_SET_PDEATHSIG: Final = 1


def main(load: Callable[[EngineConfig], HostedEngine] | None = None) -> None:
    """Serve the pipe whose file descriptor is the first argument, until it closes.

    ``load`` makes the engine; without it that is vLLM.
    """
    _die_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the worker decides when we stop
    with Connection(int(sys.argv[1])) as pipe:
        config: EngineConfig = pipe.recv()
        os.environ.update(config.environment)
        if config.cpus:
            os.sched_setaffinity(0, config.cpus)
        try:
            engine = (load or _load_vllm)(config)
            pipe.send(Ready(engine.limits))
            serve(engine, pipe)
        except (EOFError, BrokenPipeError):
            return  # the worker is gone
        except Exception as error:
            pipe.send(Failure(f"{type(error).__name__}: {error}"))
            raise


def serve(engine: HostedEngine, pipe: Connection) -> None:
    """Take what came in, run one step, send what finished; wait only when nothing is to do."""
    next_pulse = 0.0
    while True:
        while pipe.poll(0 if engine.is_busy else max(0.0, next_pulse - time.monotonic())):
            message = pipe.recv()
            if isinstance(message, Close):
                pipe.send(engine.pulse())
                return
            _send(pipe, engine, _apply(engine, message))
        if engine.is_busy:
            _send(pipe, engine, engine.step())
        if time.monotonic() >= next_pulse:
            next_pulse = time.monotonic() + PULSE_S
            pipe.send(engine.pulse())


def _load_vllm(config: EngineConfig) -> HostedEngine:
    from penstock_workers.engine.vllm_engine import VllmEngine

    return VllmEngine(config)


def _apply(engine: HostedEngine, message: Submit | Abort) -> list[Completion]:
    if isinstance(message, Submit):
        refused = (engine.add(request) for request in message.requests)
        return [completion for completion in refused if completion is not None]
    return engine.abort(message.request_ids)


def _send(pipe: Connection, engine: HostedEngine, completions: Sequence[Completion]) -> None:
    if completions:
        pipe.send(Completions(tuple(completions), engine.pulse()))


def _die_with_parent() -> None:
    # A worker that is killed by -9 must not leave an engine behind that holds the device.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
