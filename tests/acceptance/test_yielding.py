"""A real engine lets batch lines fill the room that callers leave, and loses none of them."""

import queue
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import pytest

from penstock_shared.request import Request, Sampling
from penstock_shared.tier_settings import TierSettings
from penstock_shared.words import Metering
from penstock_workers.engine.process import EngineProcess
from penstock_workers.engine.protocol import Completion, Ending, EngineRequest
from penstock_workers.models import engine_config
from penstock_workers.rendering import Renderer

BOUND_S: Final = 120
TIER: Final = TierSettings(
    model="penstock-toys/small",
    price_per_hour=Decimal(1),
    max_num_seqs=32,
    kv_cache_memory_bytes=64 * 2**20,
    cpu_threads=1,
    enforce_eager=True,
)
SPECULATING: Final = {
    "model": "penstock-toys/large",
    "speculative_config": {
        "method": "draft_model",
        "model": "penstock-toys/draft",
        "num_speculative_tokens": 3,
    },
}
RUNNING_S: Final = 200
STAYS_PARKED: Final = 1.001  # as slowdown: callers let hardly anybody in beside them
CITIES: Final = ("France", "Japan", "Vietnam", "Italy", "Egypt", "Peru", "Kenya", "Norway")


class Engine:
    """An engine, and what it has ended, in order."""

    def __init__(self, tier: TierSettings, slowdown: float) -> None:
        config = engine_config(tier, time.monotonic_ns())
        self.process = EngineProcess(config._replace(interactive_slowdown=slowdown))
        self.renderer = Renderer.load(tier)
        self.total = 0
        self._ended: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        self.process.wait_ready(
            on_completions=lambda ended: [self._ended.put(one) for one in ended], on_death=print
        )

    def request(self, name: str, tokens: int, *, background: bool = False) -> EngineRequest:
        """A question like no other; ``tokens`` are answered."""
        number = sum(map(ord, name))
        asked = Request.build(
            f"What is the capital of {CITIES[number % len(CITIES)]}? Case {name}.",
            max_tokens=tokens,
            ignore_eos=True,
        )
        tokens = self.renderer.render(asked)
        return EngineRequest(name, tokens, asked.sampling, "s", background=background)

    def ended(self, count: int) -> list[Completion]:
        """The next that end."""
        found = [self._ended.get(timeout=BOUND_S) for _ in range(count)]
        self.total += sum(one.cost_pusd for one in found)
        return found


@contextmanager
def running(slowdown: float = 1.6, **options: Any) -> Iterator[Engine]:
    """All that it costs adds up, whatever was done with it."""
    engine = Engine(TIER.model_copy(update=options), slowdown)
    try:
        yield engine
    finally:
        engine.process.close()
    spent = engine.process.pulse().spent
    assert engine.total + spent.idle_pusd == spent.paid_pusd


def lines(engine: Engine, count: int, tokens: int) -> list[EngineRequest]:
    return [engine.request(f"line-{n}", tokens, background=True) for n in range(count)]


def names(ended: Sequence[Completion]) -> list[str]:
    return [one.request_id for one in ended]


def answers(engine: Engine, requests: list[EngineRequest], callers: int) -> dict[str, Any]:
    """What is answered while callers come one after another."""
    engine.process.submit(requests)
    ended: list[Completion] = []
    for number in range(callers):
        engine.process.submit([engine.request(f"caller-{number}", 16)])
        while f"caller-{number}" not in names(ended):
            ended += engine.ended(1)
    ended += engine.ended(len(requests) + callers - len(ended))
    assert all(one.ending is Ending.LENGTH for one in ended)
    return {one.request_id: one.token_ids for one in ended if one.request_id.startswith("line-")}


@pytest.fixture(scope="module")
def parking() -> Iterator[Engine]:
    """An engine in which callers let hardly anybody in beside them."""
    with running(STAYS_PARKED, max_num_seqs=12) as engine:
        yield engine


def begin(engine: Engine, batch: list[EngineRequest], tokens: int = 5) -> None:
    """Let a batch begin; it has when a short line that came with it has ended."""
    engine.process.submit([engine.request("line-short", tokens, background=True), *batch])
    assert names(engine.ended(1)) == ["line-short"]


def overtaken(
    engine: Engine, batch: list[EngineRequest], callers: list[EngineRequest], tokens: int = 5
) -> list[Completion]:
    """All that ends, in order, when callers come to a batch that has begun.

    Once more, when we were so slow that a line had ended before they came.
    """
    end = time.monotonic() + RUNNING_S
    while time.monotonic() < end:
        begin(engine, batch, tokens)
        engine.process.submit(callers)
        ended = engine.ended(len(batch) + len(callers))
        background = {line.request_id for line in batch}
        came_ns = min(one.scheduled_ns for one in ended if one.request_id not in background)
        if all(end_ns(one) > came_ns for one in ended if one.request_id in background):
            return ended
    pytest.fail("lines always end before the callers come")


def end_ns(ended: Completion) -> int:
    """When it had its last token."""
    return ended.scheduled_ns + (ended.prefill_ms + ended.decode_ms) * 1_000_000


@pytest.mark.parametrize("options", [{}, SPECULATING], ids=["plain", "with a draft model"])
def test_an_interrupted_answer_is_the_same_answer(options: dict[str, Any]) -> None:
    with running(1.2, **options) as engine:
        requests = lines(engine, 12, 120)
        undisturbed = answers(engine, requests, callers=0)
        assert answers(engine, requests, callers=12) == undisturbed


def test_a_long_answer_for_a_caller_ends_before_short_batch_lines(parking: Engine) -> None:
    """They began first, and each needs less than a tenth of its steps."""
    ended = overtaken(parking, lines(parking, 11, 70), [parking.request("caller", 800)])
    assert names(ended)[0] == "caller"


def test_a_caller_does_not_wait_for_a_seat_behind_a_batch(parking: Engine) -> None:
    callers = [parking.request(f"caller-{n}", 20) for n in range(12)]
    ended = overtaken(parking, lines(parking, 24, 300), callers)
    assert all(name.startswith("caller-") for name in names(ended[:12]))


def test_parked_and_held_lines_can_be_stopped_and_held_ones_cost_nothing(parking: Engine) -> None:
    batch = lines(parking, 30, 1_900)  # as long as can be: none of them ends before it is stopped
    begin(parking, batch)
    parking.process.submit([parking.request("caller", 100)])
    assert names(parking.ended(1)) == ["caller"]
    parking.process.submit([parking.request("second", 100)])
    parking.process.abort([line.request_id for line in batch])
    ended = parking.ended(31)
    stopped = [one for one in ended if one.ending is Ending.ABORT]
    assert sorted(names(stopped)) == sorted(line.request_id for line in batch)
    assert [one.cost_pusd for one in stopped].count(0) in {18, 19}  # the caller took the 12th seat
    assert [one.request_id for one in ended if one.ending is Ending.LENGTH] == ["second"]


@pytest.mark.parametrize("background", [True, False], ids=["batch line", "caller"])
def test_what_vllm_refuses_comes_back_with_its_error(parking: Engine, background: bool) -> None:
    too_long = tuple(range(10, 11 + parking.process.limits.max_model_len))
    request = EngineRequest("too-long", too_long, Sampling(), "s", background=background)
    parking.process.submit([request])
    [refused] = parking.ended(1)
    assert (refused.ending, refused.cost_pusd) == (Ending.ERROR, 0)
    assert refused.error


def test_a_caller_gets_the_memory_that_a_batch_holds() -> None:
    """He needs 57 of 64 blocks of 16 tokens, and the batch has most of them when he comes."""
    memory = {"num_gpu_blocks_override": 64, "max_model_len": 1000}
    with running(STAYS_PARKED, metering=Metering.COMPUTED, **memory) as engine:
        ids = tuple(range(10, 810))
        sampling = Sampling(max_tokens=100, temperature=0.0, ignore_eos=True)
        caller = EngineRequest("caller", ids, sampling, "s")
        ended = overtaken(engine, lines(engine, 10, 200), [caller], tokens=30)
        assert names(ended)[0] == "caller"
        assert all(one.ending is Ending.LENGTH for one in ended)
