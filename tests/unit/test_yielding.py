"""Background requests leave seats, blocks and steps to the foreground, and none is lost."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_workers.engine.yielding import BACKGROUND, FOREGROUND
from tests.scheduling import MANY_BLOCKS, World


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
    """Two are preempted for the caller, and one of them would fit in beside him."""
    world = World(blocks=100, slowdown=100)
    for name in ("a", "b", "c"):
        world.add(name, prompt=15, answer=1000, background=True)
    world.step()
    world.add("caller", prompt=70, background=False)
    steps = [world.step() for _ in range(3)]
    assert steps[-1] == {"caller"}
    assert world.waiting(BACKGROUND) == ["a", "b", "c"]
    assert world.step() == {"caller", "a"}


def test_callers_whose_prompts_take_more_than_a_step_preempt_nobody() -> None:
    world = World()
    full(world, "a", "b")
    world.add("long", prompt=4096, background=False)
    world.add("short", background=False)
    assert world.step() == {"long"}
    assert world.waiting(FOREGROUND) == ["short"]
    assert "short" in world.step()
    assert world.seated(BACKGROUND) == ["a", "b"]


def test_a_long_prompt_of_a_caller_is_not_taken_for_what_his_steps_take() -> None:
    world = World()
    full(world, "a", "b", "c")
    world.add("caller", prompt=100, answer=1000, background=False)
    assert world.step(lambda computed: 50) == {"caller"}
    assert world.step() == {"caller", "a", "b", "c"}
    assert world.step() == {"caller"}


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


def test_the_next_prompt_begins_when_the_one_before_is_done() -> None:
    world = World(slowdown=100)
    world.add("caller", answer=1000, background=False)
    world.step()
    world.add("a", prompt=1000, background=True)
    world.add("b", prompt=50, background=True)
    steps = [world.step() for _ in range(8)]
    first = next(step for step in steps if "b" in step)
    assert world.scheduler.requests["a"].made >= 1
    assert sum("a" in step for step in steps[: steps.index(first)]) == 4


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


def test_a_parked_request_keeps_drafts_that_are_known_and_gives_up_the_others() -> None:
    """With asynchronous scheduling they are on the device, in the batch that it leaves."""
    world = World()
    full(world, "a", "b", "c")
    drafts = {"a": [-1, -1], "b": [17, 4]}
    for name, spec_token_ids in drafts.items():
        world.scheduler.requests[name].spec_token_ids = spec_token_ids
    world.add("caller", answer=100, background=False)
    assert world.step() == {"caller"}
    assert [world.scheduler.requests[name].spec_token_ids for name in drafts] == [[], [17, 4]]


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
    assert (4, 4) not in pairwise(seen)


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
