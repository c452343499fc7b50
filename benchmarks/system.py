"""Penstock itself, as a producer meets it: a stack with one tier, and a client."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
from contender import Run
from workload import Item, request_of

from penstock_producer import Client, Settings, load_settings
from penstock_shared.stack import home
from penstock_shared.stack.stack import Stack
from penstock_shared.words import Source

TIER: Final = "bench"
_RESULT_S: Final = 300.0


class System:
    """A running stack; a round goes from ``Client.submit_many`` to the last result."""

    def __init__(self, stack: Stack, client: Client) -> None:
        self.settings = stack.settings
        self.worker_cpu_s = 0.0
        self.jobs = 0
        self._stack = stack
        self._client = client

    @property
    def broker_url(self) -> str:
        """The stack's Redis."""
        return self.settings.broker

    def wait_ready(self) -> None:
        """Return when the engine is loaded."""
        self._stack.wait_ready(lambda _: None)

    def run(self, items: Sequence[Item]) -> Run:
        """Submit all items and take in all results. Raises RuntimeError when one is not ours."""
        requests = [request_of(item) for item in items]
        worker = psutil.Process(self._stack.workers[TIER].child.pid)
        before = worker.cpu_times()
        start = time.perf_counter()
        jobs = self._client.submit_many(requests)
        results = list(self._client.as_completed(jobs, _RESULT_S))
        seconds = time.perf_counter() - start
        after = worker.cpu_times()
        self.worker_cpu_s += after.user + after.system - before.user - before.system
        self.jobs += len(items)
        if any(r.source is not Source.ENGINE for r in results):
            raise RuntimeError("a job failed or was answered by the cache; this measures nothing")
        return Run(sum(r.completion_tokens or 0 for r in results), seconds)


@contextmanager
def running_system(folder: Path, model: str, *, engine_cpus: str | None) -> Iterator[System]:
    """A stack on this folder, its engine on these cores (None: where the machine puts it)."""
    with home.hold(folder):
        stack = Stack(_settings(folder, model, engine_cpus)).start()
        try:
            with Client(stack.settings) as client:
                yield System(stack, client)
        finally:
            stack.stop()


def _settings(folder: Path, model: str, engine_cpus: str | None) -> Settings:
    bound = "" if engine_cpus is None else f'cpus = "{engine_cpus}"\ncpu_threads = 1\n'
    toml = folder / "penstock.toml"
    toml.write_text(
        f'[tiers.{TIER}]\nmodel = "{model}"\nprice_per_hour = "1.00"\nmax_model_len = 1024\n'
        f"max_num_seqs = 64\nkv_cache_memory_bytes = {256 * 2**20}\n{bound}\n"
        "[routing]\nrules = []\n",
        encoding="utf-8",
    )
    # The children read the same file.
    os.environ["PENSTOCK_CONFIG"] = str(toml)
    return load_settings(folder)
