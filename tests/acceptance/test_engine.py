"""A real engine takes its tier's options and says what it can hold."""

import json
import queue
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from penstock_shared.request import Request
from penstock_shared.tier_settings import TierSettings
from penstock_workers.engine.process import EngineProcess
from penstock_workers.engine.protocol import Completion, Ending, EngineRequest
from penstock_workers.models import engine_config, locate
from penstock_workers.rendering import Renderer

BOUND_S = 120
TIER = TierSettings(
    model="penstock-toys/large",
    price_per_hour=Decimal(1),
    max_num_seqs=4,
    kv_cache_memory_bytes=256 * 2**20,
    enforce_eager=True,
    block_size=32,
    num_gpu_blocks_override=300,
    speculative_config={
        "method": "draft_model",
        "model": "penstock-toys/draft",
        "num_speculative_tokens": 3,
        "num_speculative_tokens_per_batch_size": [[1, 1, 3], [2, 4, 0]],
    },
)


class Running:
    """An engine, and what it has finished."""

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[Completion | str] = queue.SimpleQueue()
        self.engine = EngineProcess(engine_config(TIER, time.monotonic_ns()))
        self.renderer = Renderer.load(TIER)
        self.engine.wait_ready(
            on_completions=lambda ended: [self._ended.put(one) for one in ended],
            on_death=self._ended.put,
        )

    def answers(self, *prompts: str) -> list[Completion]:
        """Generate at the same time."""
        requests = [Request.build(p, max_tokens=24, ignore_eos=True) for p in prompts]
        self.engine.submit(
            [
                EngineRequest(str(n), self.renderer.render(r), r.sampling, "salt")
                for n, r in enumerate(requests)
            ]
        )
        return [self._ended.get(timeout=BOUND_S) for _ in prompts]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.engine.close()


def test_the_engine_says_what_it_can_hold(running: Running) -> None:
    limits = running.engine.limits
    folder = Path(locate(TIER.model))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert limits.max_model_len == config["max_position_embeddings"]
    assert limits.max_num_seqs == 4
    assert limits.kv_cache_tokens == 300 * 32
    rope_table = config["max_position_embeddings"] * config["head_dim"] * 2
    assert limits.weights_bytes == pytest.approx(
        (folder / "model.safetensors").stat().st_size + rope_table, rel=0.01
    )


def test_a_draft_model_guesses_while_the_batch_is_small(running: Running) -> None:
    [answer] = running.answers("Which city is the capital of France?")
    assert (answer.ending, len(answer.token_ids)) == (Ending.LENGTH, 24)
    assert answer.speculation is not None
    assert answer.speculation.drafted > 0
    several = running.answers(*(f"Who wrote book {n}?" for n in range(4)))
    drafted = [one.speculation.drafted if one.speculation else 0 for one in several]
    assert sum(drafted) / 4 < answer.speculation.drafted
