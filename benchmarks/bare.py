"""The yardstick: ``LLM.generate`` of vLLM on all prompts of a round, with nothing around it."""

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from contender import Run
from workload import Item, request_of

from penstock_workers.engine.protocol import EngineConfig
from penstock_workers.rendering import Renderer


class Bare:
    """A vLLM engine in a process of its own, which runs a round when told to."""

    def __init__(
        self, config: EngineConfig, renderer: Renderer, *, cpus: Sequence[int], log: Path
    ) -> None:
        self._renderer = renderer
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, config, tuple(cpus), log), daemon=True
        )
        self._process.start()
        theirs.close()

    def wait_ready(self) -> None:
        """Return when the model is loaded. Raises EOFError when the process died."""
        self._pipe.recv()

    def run(self, items: Sequence[Item]) -> Run:
        """One call of ``LLM.generate``; rendering the prompts is not counted."""
        requests = [request_of(item) for item in items]
        jobs = [(self._renderer.render(r), r.sampling.max_tokens) for r in requests]
        self._pipe.send(jobs)
        return Run(*self._pipe.recv())

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(10)
        self._process.kill()


def prepare(config: EngineConfig, cpus: Sequence[int]) -> None:
    """Give this process the cores and the environment of the engine, before torch is loaded."""
    os.sched_setaffinity(0, cpus)
    os.environ.update(config.environment)


def _serve(pipe: Connection, config: EngineConfig, cpus: Sequence[int], log: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare(config, cpus)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    from vllm import LLM, SamplingParams

    llm = LLM(model=config.model, **config.options)
    pipe.send("ready")
    while True:
        try:
            jobs = pipe.recv()
        except EOFError:
            return
        prompts = [{"prompt_token_ids": list(ids)} for ids, _ in jobs]
        params = [SamplingParams(max_tokens=n, temperature=0, ignore_eos=True) for _, n in jobs]
        start = time.perf_counter()
        outputs = llm.generate(prompts, params, use_tqdm=False)
        seconds = time.perf_counter() - start
        pipe.send((sum(len(output.outputs[0].token_ids) for output in outputs), seconds))
