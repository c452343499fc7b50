"""The engine of the workers, in a process of its own, that writes down every step.

A line for each step: when it ended, how long it took, whether interactive requests were inside,
and how many tokens of batch lines it made. Batch lines are known by their ids.
"""

import os
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock_workers.engine import host
from penstock_workers.engine.protocol import Completion, EngineConfig, HostedEngine

ENGINE: Final = "interactive_engine"  # this module, which is also a process
STEPS_VARIABLE: Final = "BENCH_STEPS"
BATCH: Final = "batch-"  # how the ids of batch lines begin


class Step(NamedTuple):
    """One line of the file."""

    ended_s: float  # time.monotonic, which is the same in all processes
    took_s: float
    has_interactive: bool
    batch_tokens: int


def read_steps(path: Path) -> list[Step]:
    """All steps that were written so far."""
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    return [Step(float(a), float(b), c == "1", int(d)) for a, b, c, d in lines]


def load(config: EngineConfig) -> HostedEngine:
    """The engine of the workers, with a pen."""
    from penstock_workers.engine.vllm_engine import VllmEngine

    class WritingEngine(VllmEngine):
        def __init__(self, config: EngineConfig) -> None:
            self._batch_tokens = 0
            self._file = os.open(os.environ[STEPS_VARIABLE], os.O_WRONLY | os.O_CREAT, 0o600)
            super().__init__(config)

        def step(self) -> list[Completion]:
            start = time.monotonic()
            inside = [*self._names.values(), *self._held]
            has_interactive = any(not name.startswith(BATCH) for name in inside)
            self._batch_tokens = 0
            ended = super().step()
            now = time.monotonic()
            line = f"{now:.6f} {now - start:.6f} {has_interactive:d} {self._batch_tokens}\n"
            os.write(self._file, line.encode())
            return ended

        def _note_weights(self, step: Any) -> None:
            super()._note_weights(step)
            names = (self._names.get(i, "") for i in step.num_scheduled_tokens)
            self._batch_tokens += sum(name.startswith(BATCH) for name in names)

    return WritingEngine(config)


if __name__ == "__main__":
    host.main(load)
