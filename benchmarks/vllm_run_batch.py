"""vLLM's own batch runner: its engine is loaded once, and works through one file after another.

As a program, it is the process of that engine: it reads pairs of paths from standard input, one
JSON list a line, and answers each with the seconds that it took.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

ENVIRONMENT = {"NUMBA_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}


class RunBatch:
    """The process of the runner; a context."""

    def __init__(self, model: str, options: Mapping[str, Any], log: Path) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, __file__, model, json.dumps(dict(options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **ENVIRONMENT},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def wait_ready(self) -> None:
        """Return when the engine is loaded. Raises RuntimeError when it died."""
        self._read()

    def run(self, source: Path, out: Path) -> float:
        """Work through a file; returns seconds, from reading it to its whole output."""
        self._process.stdin.write(json.dumps([str(source), str(out)]) + "\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        return float(self._read())

    def _read(self) -> str:
        for line in self._process.stdout or ():
            if line.startswith("runner "):
                return line.removeprefix("runner ").strip()
        raise RuntimeError(f"vLLM's batch runner died; its last words stand in {self._log.name}")


async def _serve(model: str, options: dict[str, Any]) -> None:
    from vllm.entrypoints.launchers import run_batch
    from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client
    from vllm.usage.usage_lib import UsageContext

    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    sys.argv = ["run_batch", "-i", "-", "-o", "-", f"--model={model}", *given]
    arguments = run_batch.parse_args()
    context = UsageContext.OPENAI_BATCH_RUNNER
    async with build_async_engine_client(arguments, usage_context=context) as engine:
        print("runner ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            arguments.input_file, arguments.output_file = json.loads(line)
            start = time.perf_counter()
            await run_batch.run_batch(engine, arguments)
            print(f"runner {time.perf_counter() - start}", flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], json.loads(sys.argv[2])))
