"""A real engine divides the price of its steps by the rule of its tier."""

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

import pytest

from penstock_shared.request import Sampling
from penstock_shared.tier_settings import TierSettings
from penstock_shared.words import Metering
from penstock_workers.engine.process import EngineProcess
from penstock_workers.engine.protocol import Completion, EngineRequest
from penstock_workers.models import engine_config

BOUND_S: Final = 120
PREFIX: Final = tuple(range(10, 10 + 512))
SAMPLING: Final = Sampling(max_tokens=32, temperature=0.0, ignore_eos=True)


class Meteredness:
    """An engine, and what its requests cost."""

    def __init__(self, engine: EngineProcess) -> None:
        self.engine = engine
        self.total = 0
        self._ended: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        engine.wait_ready(
            on_completions=lambda ended: [self._ended.put(one) for one in ended],
            on_death=print,
        )

    def costs(self, **prompts: tuple[int, ...]) -> dict[str, int]:
        """What each of these costs, all in the engine at the same time."""
        self.engine.submit(
            [EngineRequest(name, ids, SAMPLING, "salt") for name, ids in prompts.items()]
        )
        ended = [self._ended.get(timeout=BOUND_S) for _ in prompts]
        costs = {one.request_id: one.cost_pusd for one in ended}
        self.total += sum(costs.values())
        return costs


@contextmanager
def running(rule: Metering) -> Iterator[Meteredness]:
    tier = TierSettings(
        model="penstock-toys/small",
        price_per_hour=Decimal(1),
        metering=rule,
        max_num_seqs=8,
        kv_cache_memory_bytes=64 * 2**20,
        cpu_threads=1,
        enforce_eager=True,
    )
    metered = Meteredness(EngineProcess(engine_config(tier, time.monotonic_ns())))
    try:
        yield metered
    finally:
        metered.engine.close()
    spent = metered.engine.pulse().spent
    assert metered.total + spent.idle_pusd == spent.paid_pusd


def own(number: int, length: int) -> tuple[int, ...]:
    """A prompt like no other."""
    return tuple(range(1000 * number, 1000 * number + length))


def test_a_shared_prefix_is_paid_once_by_those_that_share_it() -> None:
    with running(Metering.KV) as engine:
        engine.costs(warm=(*PREFIX, 1))
        costs = engine.costs(
            one=(*PREFIX, *own(1, 16)), two=(*PREFIX, *own(2, 16)), alone=own(1, 528)
        )
        assert costs["one"] == costs["two"]
        # They hold 512 / 2 + 16 tokens and an answer each, and the third one 528 and an answer.
        assert costs["alone"] / costs["one"] == pytest.approx((528 + 16) / (256 + 16 + 16), rel=0.1)


def test_by_the_other_rule_who_has_more_computed_pays_more() -> None:
    with running(Metering.COMPUTED) as engine:
        engine.costs(warm=(*PREFIX, 1))
        costs = engine.costs(found=(*PREFIX, *own(1, 16)), long=own(1, 528), short=own(2, 16))
        # The prefix was found, not computed: it costs nothing.
        assert costs["found"] == costs["short"] < costs["long"]
