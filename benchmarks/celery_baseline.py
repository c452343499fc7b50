"""The producer's side of the baselines: plain Celery messages, and waiting for their results."""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from celery import Celery
from celery.result import ResultSet
from contender import Run
from workload import Item, request_of

from penstock_shared.stack.processes import Child
from penstock_workers.engine.protocol import EngineConfig
from penstock_workers.rendering import Renderer

TASK: Final = "baseline.generate"
_ORDER: Final = "BASELINE_ORDER"
_RESULT_S: Final = 300.0
_STOP_S: Final = 10.0


class Order(NamedTuple):
    """What a baseline's worker must know."""

    broker_url: str
    queue: str
    config: EngineConfig
    cpus: tuple[int, ...]

    @classmethod
    def from_environment(cls) -> "Order":
        """The order that our parent left us."""
        values: dict[str, Any] = json.loads(os.environ[_ORDER])
        return cls(**{**values, "config": EngineConfig(**values["config"])})

    def environment(self) -> dict[str, str]:
        """An environment that carries the order."""
        values = {**self._asdict(), "config": self.config._asdict()}
        return {**os.environ, _ORDER: json.dumps(values)}


class CeleryBaseline:
    """A Celery worker running one of the baseline scripts, and its producer."""

    def __init__(self, script: str, order: Order, renderer: Renderer, *, logs: Path) -> None:
        self._app = Celery(broker=order.broker_url, backend=order.broker_url, set_as_current=False)
        self._queue = order.queue
        self._renderer = renderer
        self._child = Child(
            order.queue,
            [sys.executable, str(Path(__file__).with_name(script))],
            log=logs / f"{order.queue}.log",
            environment=order.environment(),
        )
        self._child.start()

    def run(self, items: Sequence[Item]) -> Run:
        """Send one message for each item and wait for all results."""
        requests = [request_of(item) for item in items]
        jobs = [(self._renderer.render(r), r.sampling.max_tokens) for r in requests]
        start = time.perf_counter()
        sent = [self._app.send_task(TASK, args=job, queue=self._queue) for job in jobs]
        answers = ResultSet(sent, app=self._app).join_native(timeout=_RESULT_S)
        seconds = time.perf_counter() - start
        return Run(sum(answer["tokens"] for answer in answers), seconds)

    def stop(self) -> None:
        """Stop the worker."""
        self._child.stop(_STOP_S)
        self._app.close()
