"""A real engine takes its tier's options, says what it can hold, and keeps to a schema."""

import json
import queue
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from penstock_shared.request import Request
from penstock_shared.tier_settings import TierSettings
from penstock_workers.boarding import engine_request
from penstock_workers.engine.process import EngineProcess
from penstock_workers.engine.protocol import Completion, Ending
from penstock_workers.models import engine_config, locate
from penstock_workers.rendering import Renderer
from penstock_workers.structured import mismatch

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
    structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
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
        return self.ends(*(Request.build(p, max_tokens=24, ignore_eos=True) for p in prompts))

    def ends(self, *requests: Request) -> list[Completion]:
        """What became of requests, in their order."""
        length = self.engine.limits.max_model_len
        self.engine.submit(
            [
                engine_request(str(n), request, self.renderer, max_model_len=length)
                for n, request in enumerate(requests)
            ]
        )
        ended = [self._ended.get(timeout=BOUND_S) for _ in requests]
        return sorted(
            (one for one in ended if isinstance(one, Completion)),
            key=lambda completion: int(completion.request_id),
        )


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


CITY = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 30},
        "number": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["city", "number"],
    "additionalProperties": False,
}


def structured(schema: object, prompt: str = "Which city is the capital of France?") -> Request:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    return Request.build(prompt, response_format=wanted, max_tokens=160)


def test_a_speculating_engine_keeps_to_the_schema(running: Running) -> None:
    request = structured(CITY)
    [answer] = running.ends(request)
    assert answer.ending is Ending.STOP
    assert answer.speculation is not None
    assert answer.speculation.drafted > 0
    text = running.renderer.decode(answer.token_ids)
    assert mismatch(text, request.response_format, is_cut_off=False) is None
    assert set(json.loads(text)) == {"city", "number"}


def test_a_schema_that_the_engine_cannot_keep_fails_alone(running: Running) -> None:
    refused, answered, plain = running.ends(
        structured({"type": "integer", "multipleOf": 7}),
        structured({"enum": ["Paris", "Rome"]}),
        Request.build("Which city is the capital of France?", max_tokens=24),
    )
    assert refused.ending is Ending.ERROR
    assert "not supported by xgrammar" in (refused.error or "")
    assert json.loads(running.renderer.decode(answered.token_ids)) in {"Paris", "Rome"}
    assert "Paris" in running.renderer.decode(plain.token_ids)
