"""Baseline: a plain Celery task that calls ``LLM.generate`` on one prompt."""

from typing import Any

from bare import prepare
from celery import Celery
from celery_baseline import TASK, Order


def main() -> None:
    """Serve one queue, one message after the other."""
    order = Order.from_environment()
    prepare(order.config, order.cpus)
    from vllm import LLM, SamplingParams

    llm = LLM(model=order.config.model, **order.config.options)
    app = Celery(broker=order.broker_url, backend=order.broker_url)
    app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)

    @app.task(name=TASK)
    def generate(token_ids: list[int], max_tokens: int) -> dict[str, Any]:
        params = SamplingParams(max_tokens=max_tokens, temperature=0, ignore_eos=True)
        [output] = llm.generate({"prompt_token_ids": token_ids}, params, use_tqdm=False)
        answer = output.outputs[0]
        return {"text": answer.text, "tokens": len(answer.token_ids)}

    app.Worker(pool="solo", queues=[order.queue], loglevel="WARNING").start()


if __name__ == "__main__":
    main()
