"""Background requests leave seats, blocks and steps to the foreground, and none is lost."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_workers.engine.share import Share
from penstock_workers.engine.yielding import BACKGROUND, FOREGROUND, Yielding

SEATS = 4
MANY_BLOCKS = 10**6


@dataclass(eq=False)
class Request:
    """As vLLM's; ``answer`` counts tokens."""

    request_id: str
    prompt: int
    answer: int
    priority: int
    arrival_time: int
    status: Any = field(default_factory=lambda: SimpleNamespace(name="WAITING"))
    next_decode_eligible_step: int = 0
    computed: int = 0
    made: int = 0

    @property
    def num_tokens(self) -> int:
        return self.prompt + self.made

    @property
    def is_prefill_chunk(self) -> bool:
        return self.status.name == "RUNNING" and self.computed < self.num_tokens - 1


class Queue(list[Request]):
    """As vLLM's queue by priority."""

    def remove_requests(self, requests: set[Request]) -> None:
        self[:] = [request for request in self if request not in requests]

    def add_request(self, request: Request) -> None:
        self.append(request)
        self.sort(key=lambda r: (r.priority, r.arrival_time))


class Scheduler:
    """As vLLM's, with a token of the KV cache for a block."""

    def __init__(self, blocks: int) -> None:
        self.running: list[Request] = []
        self.waiting = Queue()
        self.requests: dict[str, Request] = {}
        self.blocks = blocks
        self.current_step = 0
        self.max_num_active_reqs = SEATS
        self.max_num_scheduled_tokens = 4096
        self.num_spec_tokens = 0
        self.scheduler_config = SimpleNamespace(
            enable_chunked_prefill=True, long_prefill_token_threshold=0
        )

    @property
    def kv_cache_manager(self) -> Any:
        return SimpleNamespace(usage=sum(r.computed for r in self.running) / self.blocks)

    def schedule(self, throttle_prefills: bool = False) -> Any:
        self.current_step += 1
        computed: dict[str, int] = {}
        free = self.blocks - sum(request.computed for request in self.running)
        is_preempting = False
        for request in sorted(self.running, key=lambda r: (r.priority, r.arrival_time)):
            if self.current_step < request.next_decode_eligible_step:
                continue
            while request in self.running and free < (tokens := self._tokens(request)):
                victim = max(self.running, key=lambda r: (r.priority, r.arrival_time))
                self.running.remove(victim)
                free += victim.computed + computed.pop(victim.request_id, 0)
                self._preempt_request(victim, 0.0)
                is_preempting = True
            if request in self.running:
                computed[request.request_id] = tokens
                free -= tokens
        while self.waiting and len(self.running) < SEATS and not is_preempting:
            if (tokens := self._tokens(self.waiting[0])) > free:
                break
            request = self.waiting.pop(0)
            request.status = SimpleNamespace(name="RUNNING")
            self.running.append(request)
            computed[request.request_id] = tokens
            free -= tokens
        assert len(self.running) <= SEATS
        return SimpleNamespace(
            num_scheduled_tokens=computed, total_num_scheduled_tokens=sum(computed.values())
        )

    def _tokens(self, request: Request) -> int:
        threshold = self.scheduler_config.long_prefill_token_threshold or MANY_BLOCKS
        return min(request.num_tokens - request.computed, threshold)

    def _preempt_request(self, request: Request, timestamp: float) -> None:
        request.status = SimpleNamespace(name="PREEMPTED")
        request.computed = 0
        self.waiting.add_request(request)

    def _request_blocks_can_be_freed(self, request: Request) -> bool:
        return True


class World:
    """An engine: what is in it, what was computed in each step, and who has come to an end."""

    def __init__(self, blocks: int = MANY_BLOCKS, slowdown: float = 1.5) -> None:
        self.scheduler = Scheduler(blocks)
        self.yielding = Yielding(self.scheduler, Share(slowdown), lambda: 0.0)
        self.ended: list[str] = []
        self.arrivals = 0

    def add(self, name: str, *, prompt: int = 4, answer: int = 10, background: bool) -> None:
        self.arrivals += 1
        priority = BACKGROUND if background else FOREGROUND
        request = Request(name, prompt, answer, priority, self.arrivals)
        self.scheduler.requests[name] = request
        self.scheduler.waiting.add_request(request)
        self.yielding.add(name, background=background)

    def step(self, seconds: Callable[[set[str]], float] = len) -> set[str]:
        """Run one; it takes a second for each request in it, if nobody says otherwise."""
        step = self.scheduler.schedule()
        computed: dict[str, int] = step.num_scheduled_tokens
        for name, tokens in computed.items():
            request = self.scheduler.requests[name]
            request.computed += tokens
            request.made += request.computed == request.num_tokens
        self.yielding.note(step)
        for name in computed:
            if (request := self.scheduler.requests[name]).made == request.answer:
                self.scheduler.running.remove(request)
                self.leave(name)
                self.ended.append(name)
        self.yielding.book(seconds(set(computed)))
        return set(computed)

    def leave(self, name: str) -> None:
        request = self.scheduler.requests.pop(name)
        self.scheduler.waiting.remove_requests({request})
        if request in self.scheduler.running:
            self.scheduler.running.remove(request)
        self.yielding.remove(name)

    def waiting(self, priority: int) -> list[str]:
        return [r.request_id for r in self.scheduler.waiting if r.priority == priority]

    def seated(self, priority: int) -> list[str]:
        return [r.request_id for r in self.scheduler.running if r.priority == priority]


def full(world: World, *names: str) -> None:
    """Fill seats with background requests that go on for long."""
    for name in names:
        world.add(name, answer=1000, background=True)
    assert world.step() == set(names)


def test_alone_the_background_is_in_every_step() -> None:
    world = World()
    full(world, "a", "b", "c")
    assert all(world.step() == {"a", "b", "c"} for _ in range(50))


def test_beside_the_foreground_it_is_parked_in_light_steps_and_keeps_its_seat() -> None:
    world = World()
    full(world, "a", "b", "c")
    world.add("caller", answer=100, background=False)
    steps = [world.step() for _ in range(60)]
    assert all("caller" in step for step in steps)
    assert {frozenset(step) for step in steps} == {
        frozenset({"caller"}),
        frozenset({"caller", "a", "b", "c"}),
    }
    spent = sum(map(len, steps))
    assert spent <= 1.5 * len(steps) + 4
    assert world.seated(BACKGROUND) == ["a", "b", "c"]


def test_when_the_foreground_has_left_the_background_goes_on_at_once() -> None:
    world = World()
    full(world, "a", "b", "c")
    world.add("caller", answer=3, background=False)
    while "caller" not in world.ended:
        world.step()
    assert all(world.step() == {"a", "b", "c"} for _ in range(20))


def test_a_caller_takes_the_seat_of_the_one_in_the_background_that_came_last() -> None:
    world = World()
    full(world, "a", "b", "c", "d")
    world.add("caller", background=False)
    assert world.step() == {"caller"}
    assert (world.seated(BACKGROUND), world.waiting(BACKGROUND)) == (["a", "b", "c"], ["d"])
    while "caller" not in world.ended:
        world.step()
    world.step()
    assert world.seated(BACKGROUND) == ["a", "b", "c", "d"]


def test_one_that_was_preempted_does_not_come_back_in_the_same_step() -> None:
    """vLLM's model runner must see it gone before it sees it again."""
    world = World(slowdown=100)
    full(world, "a", "b", "c", "d")
    for number in range(20):
        world.add(f"caller{number}", answer=2, background=False)
        before = set(world.seated(BACKGROUND))
        step = world.step()
        assert not step & (before - set(world.seated(BACKGROUND)))


def test_a_caller_gets_the_blocks_of_as_many_as_it_takes() -> None:
    world = World(blocks=100)
    for name in ("a", "b", "c"):
        world.add(name, prompt=30, answer=1000, background=True)
    world.step()
    world.add("caller", prompt=90, background=False)
    steps = [world.step() for _ in range(4)]
    assert "caller" in steps[-1]
    assert world.seated(BACKGROUND) == []


def test_while_memory_is_short_nobody_comes_in_from_the_background() -> None:
    world = World(blocks=100)
    world.add("caller", prompt=90, answer=8, background=False)
    world.step()
    world.add("line", background=True)
    assert not world.yielding.lets_in(4)
    while "caller" not in world.ended:
        assert "line" not in world.step()
    assert "line" in world.step()


def test_long_prompts_of_the_background_are_computed_in_pieces_beside_a_caller() -> None:
    world = World()
    world.add("caller", answer=100, background=False)
    world.step()
    world.add("line", prompt=1000, background=True)
    pieces = []
    while not world.scheduler.requests["line"].made:
        before = world.scheduler.requests["line"].computed
        world.step()
        pieces.append(world.scheduler.requests["line"].computed - before)
    assert max(pieces) == 256
    assert world.scheduler.scheduler_config.long_prefill_token_threshold == 0


def test_a_full_step_begins_several_short_prompts_or_one_long_one() -> None:
    world = World()
    world.add("caller", answer=1000, background=False)
    world.step()
    for name, prompt in (("a", 100), ("b", 100), ("c", 100)):
        world.add(name, prompt=prompt, background=True)
    assert world.step() == {"caller", "a", "b"}


def test_before_vllm_so_many_wait_as_the_next_full_step_can_begin() -> None:
    world = World()
    assert world.yielding.lets_in(4096)
    world.add("caller", answer=1000, background=False)
    assert world.yielding.lets_in(4096)
    world.add("line", prompt=200, background=True)
    assert world.yielding.lets_in(56)
    assert not world.yielding.lets_in(57)


def test_a_caller_that_cannot_be_computed_yet_keeps_nobody_waiting() -> None:
    """Its grammar is being compiled, for instance."""
    world = World()
    full(world, "a", "b", "c", "d")
    world.add("caller", background=False)
    [caller] = [r for r in world.scheduler.waiting if r.request_id == "caller"]
    caller.status = SimpleNamespace(name="WAITING_FOR_STRUCTURED_OUTPUT_GRAMMAR")
    caller.prompt = MANY_BLOCKS * 2
    steps = [world.step() for _ in range(20)]
    assert steps.count({"a", "b", "c", "d"}) >= 10


def test_steps_are_booked_in_order_when_several_are_under_way() -> None:
    """With asynchronous scheduling the next one is decided before the last one is booked."""
    world = World()
    full(world, "a", "b", "c")
    world.add("caller", answer=1000, background=False)
    under_way = [world.scheduler.schedule()]
    seen = []
    for _ in range(40):
        under_way.append(world.scheduler.schedule())
        step = under_way.pop(0)
        seen.append(len(step.num_scheduled_tokens))
        world.yielding.note(step)
        world.yielding.book(float(len(step.num_scheduled_tokens)))
    assert set(seen) == {1, 4}
    assert sum(seen) <= 1.5 * len(seen) + 2 * 4


moves = st.one_of(
    st.tuples(st.just("add"), st.booleans(), st.integers(1, 600), st.integers(1, 30)),
    st.tuples(st.just("leave"), st.integers(0, 30)),
    st.tuples(st.just("step"), st.floats(0.001, 1), st.integers(1, 8)),
)


@pytest.mark.parametrize("blocks", [MANY_BLOCKS, 700])
@given(history=st.lists(moves, max_size=60))
def test_whatever_comes_and_goes_callers_have_the_seats_and_all_come_to_an_end(
    blocks: int, history: list[tuple[Any, ...]]
) -> None:
    world, left = World(blocks), set()
    for number, (kind, *details) in enumerate(history):
        inside = list(world.scheduler.requests)
        if kind == "add":
            background, prompt, answer = details
            world.add(f"r{number}", prompt=prompt, answer=answer, background=background)
        elif kind == "leave" and inside:
            name = inside[details[0] % len(inside)]
            world.leave(name)
            left.add(name)
        elif kind == "step":
            seconds, times = details
            for _ in range(times):
                world.step(lambda computed, each=seconds: each * len(computed))  # type: ignore[misc]
                if world.waiting(FOREGROUND) and blocks == MANY_BLOCKS:
                    assert not world.seated(BACKGROUND)
    for _ in range(20_000):
        if not world.scheduler.requests:
            break
        world.step()
    added = {f"r{number}" for number, (kind, *_) in enumerate(history) if kind == "add"}
    assert sorted(world.ended) == sorted(added - left)
