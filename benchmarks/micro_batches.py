"""Baseline: a Celery worker that collects 16 jobs, and answers when the slowest of them is done."""

import queue
import threading
import time
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from bare import prepare
from celery import Celery
from celery_baseline import TASK, Order

_BATCH: Final = 16
_WAIT_S: Final = 0.05


class Job(NamedTuple):
    """A message that waits for its batch."""

    token_ids: list[int]
    max_tokens: int
    answer: "Future[dict[str, Any]]"


def main() -> None:
    """Serve one queue. The threads of the pool only wait; one thread generates."""
    order = Order.from_environment()
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_generate, args=(order, jobs), daemon=True).start()
    app = Celery(broker=order.broker_url, backend=order.broker_url)
    app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)

    @app.task(name=TASK)
    def generate(token_ids: list[int], max_tokens: int) -> dict[str, Any]:
        answer: Future[dict[str, Any]] = Future()
        jobs.put(Job(token_ids, max_tokens, answer))
        return answer.result()

    # Twice the batch, so that the next batch is there when this one ends.
    app.Worker(
        pool="threads", concurrency=2 * _BATCH, queues=[order.queue], loglevel="WARNING"
    ).start()


def _generate(order: Order, jobs: "queue.SimpleQueue[Job]") -> None:
    prepare(order.config, order.cpus)  # on Linux this binds the thread, not the process
    from vllm import LLM, SamplingParams

    llm = LLM(model=order.config.model, **order.config.options)
    while True:
        batch = _collect(jobs)
        outputs = llm.generate(
            [{"prompt_token_ids": job.token_ids} for job in batch],
            [
                SamplingParams(max_tokens=j.max_tokens, temperature=0, ignore_eos=True)
                for j in batch
            ],
            use_tqdm=False,
        )
        for job, output in zip(batch, outputs, strict=True):
            answer = output.outputs[0]
            job.answer.set_result({"text": answer.text, "tokens": len(answer.token_ids)})


def _collect(jobs: "queue.SimpleQueue[Job]") -> list[Job]:
    """Up to a full batch, waiting a little for company."""
    batch = [jobs.get()]
    end = time.monotonic() + _WAIT_S
    try:
        while len(batch) < _BATCH:
            batch.append(jobs.get(timeout=max(0.0, end - time.monotonic())))
    except queue.Empty:
        pass
    return batch


if __name__ == "__main__":
    main()
