"""What a request weighs: tokens held, shared ones divided; or tokens computed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock_shared.words import Metering
from penstock_workers.engine.weighing import PARTS, KvScale, scale_for

SIZE = 16  # tokens of a block
ways = st.lists(st.integers(0, 1), max_size=6)


@dataclass
class Block:
    block_id: int
    ref_cnt: int = 0
    is_null: bool = False


class FullAttentionManager:
    """As vLLM's: a table of blocks for each request."""

    block_size = SIZE

    def __init__(self) -> None:
        self.req_to_blocks: dict[str, list[Block]] = {}


class SlidingWindowManager(FullAttentionManager):
    """As vLLM's: lets blocks go, so that its tables say nothing about the beginning."""


@dataclass
class World:
    """An engine as its scheduler sees it; every request's path of cached blocks has a name."""

    manager: FullAttentionManager = field(default_factory=FullAttentionManager)
    caching: bool = True
    held: dict[str, int] = field(default_factory=dict)  # tokens
    cached: dict[tuple[int, ...], Block] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    resumed: set[str] = field(default_factory=set)
    preempted: set[str] = field(default_factory=set)
    hits: dict[str, int] = field(default_factory=dict)  # tokens found in the cache
    away: set[str] = field(default_factory=set)  # preempted, but inside
    blocks: int = 0

    def __post_init__(self) -> None:
        coordinator = SimpleNamespace(single_type_managers=(self.manager,))
        manager = SimpleNamespace(enable_caching=self.caching, coordinator=coordinator)
        self.scale = KvScale(SimpleNamespace(kv_cache_manager=manager))

    @property
    def tables(self) -> dict[str, list[Block]]:
        return self.manager.req_to_blocks

    def join(self, name: str, path: Sequence[int] = (), own: int = 0) -> None:
        """A request whose prompt begins with blocks that others may have, and goes on alone."""
        parts = [tuple(path[: end + 1]) for end in range(len(path))]
        self.hits[name] = SIZE * sum(1 for part in parts if part in self.cached)
        table = [self.cached.setdefault(part, self._block()) for part in parts]
        table += [self._block() for _ in range(-(-own // SIZE))]
        for block in table:
            block.ref_cnt += 1
        self.tables[name] = table
        self.held[name] = SIZE * len(path) + own
        if name in self.away:
            self.resumed.add(name)
        else:
            self.new.append(name)
        self.away.discard(name)

    def leave(self, name: str, *, preempted: bool = False) -> None:
        if name not in self.tables:
            return
        for block in self.tables.pop(name):
            block.ref_cnt -= 1
        del self.held[name]
        if preempted:
            self.away.add(name)
            self.preempted.add(name)

    def step(self, parked: Collection[str] = ()) -> dict[str, int]:
        """Compute one token of every request that is neither new nor parked, and weigh."""
        cached = [name for name in self.held if name not in {*self.new, *parked, *self.resumed}]
        cached += [name for name in self.held if name in self.resumed]
        known = SimpleNamespace(
            req_ids=cached,
            num_computed_tokens=[self.held[n] for n in cached],
            resumed_req_ids=self.resumed,
        )
        new = [SimpleNamespace(req_id=n, num_computed_tokens=self.hits[n]) for n in self.new]
        computed = dict.fromkeys(cached, 1) | {n: self.held[n] - self.hits[n] for n in self.new}
        for name in cached:
            self.held[name] += 1
        step: Any = SimpleNamespace(
            scheduled_cached_reqs=known,
            scheduled_new_reqs=new,
            num_scheduled_tokens=computed,
            preempted_req_ids=self.preempted,
        )
        self.new, self.resumed, self.preempted = [], set(), set()
        return self.scale.weigh(step, dict.fromkeys([*self.held, *self.away]))

    def naive(self) -> dict[str, int]:
        """Block by block, without a thought."""
        return {
            name: self.held[name] * PARTS
            - sum(SIZE * (PARTS - PARTS // block.ref_cnt) for block in table)
            for name, table in self.tables.items()
        }

    def _block(self) -> Block:
        self.blocks += 1
        return Block(self.blocks)


def test_requests_that_share_nothing_weigh_their_tokens() -> None:
    world = World()
    world.join("a", [], 20)
    world.join("b", [1, 2], 5)
    assert world.step() == {"a": 20, "b": 37}
    assert world.step() == {"a": 21, "b": 38}


def test_a_shared_prefix_counts_once_divided_among_those_that_share_it() -> None:
    world = World()
    for name in ("a", "b", "c"):
        world.join(name, [1, 2, 3], 10)
    weights = world.step()
    assert weights == dict.fromkeys("abc", (48 // 3 + 10) * PARTS)
    assert sum(weights.values()) == (48 + 3 * 10) * PARTS


def test_one_may_share_more_than_another() -> None:
    world = World()
    world.join("a", [1, 2, 3, 4], 3)
    world.join("b", [1, 2, 3], 5)
    world.join("c", [1], 7)
    shared_by_all, by_two = 16 * PARTS // 3, 2 * 16 * PARTS // 2
    assert world.step() == {
        "a": shared_by_all + by_two + (16 + 3) * PARTS,
        "b": shared_by_all + by_two + 5 * PARTS,
        "c": shared_by_all + 7 * PARTS,
    }


def test_who_is_left_bears_all_of_what_was_shared() -> None:
    world = World()
    world.join("a", [1, 2], 3)
    world.join("b", [1, 2], 3)
    assert world.step() == dict.fromkeys("ab", (16 + 3) * PARTS)
    world.leave("a")
    assert world.step() == {"b": 36}


moves = st.one_of(
    st.tuples(st.just("join"), st.integers(0, 7), ways, st.integers(1, 40)),
    st.tuples(st.sampled_from(["leave", "preempt"]), st.integers(0, 7)),
    st.tuples(st.just("step"), st.frozensets(st.sampled_from([f"r{n}" for n in range(8)]))),
)


@given(st.lists(moves, max_size=60))
def test_shortcuts_change_no_weight(history: list[tuple[Any, ...]]) -> None:
    world = World()
    for kind, *details in history:
        if kind == "join" and f"r{details[0]}" not in world.held:
            world.join(f"r{details[0]}", details[1], details[2])
        elif kind == "leave":
            world.leave(f"r{details[0]}")
        elif kind == "preempt" and f"r{details[0]}" not in world.new:
            world.leave(f"r{details[0]}", preempted=True)
        world.new = [name for name in world.new if name in world.held]
        if kind == "step":
            weights, expected = world.step(parked=details[0]), world.naive()
            scale = PARTS if weights != {n: world.held[n] for n in weights} else 1
            assert {name: weight * PARTS // scale for name, weight in weights.items()} == expected


def test_a_parked_request_weighs_what_it_holds() -> None:
    """Also when what it shares is shared with more, or fewer."""
    world = World()
    world.join("caller", [1], 4)
    world.join("line", [1, 2], 5)
    assert world.step() == {"caller": (8 + 4) * PARTS, "line": (8 + 16 + 5) * PARTS}
    assert world.step(parked={"line"}) == {"caller": 13 * PARTS, "line": 29 * PARTS}
    world.join("second", [1, 2], 3)
    third = 16 * PARTS // 3
    assert world.step(parked={"line"}) == {
        "caller": third + 6 * PARTS,
        "line": third + (8 + 5) * PARTS,
        "second": third + (8 + 3) * PARTS,
    }
    world.leave("caller")
    world.leave("second")
    assert world.step(parked={"line"}) == {"line": 37}
    assert world.step() == {"line": 38}


def test_the_null_block_of_a_window_is_nobodys() -> None:
    world = World()
    world.join("a", [1], 4)
    world.tables["a"][0].is_null, world.tables["a"][0].ref_cnt = True, 9
    world.hits["a"] = SIZE
    assert world.step() == {"a": 20}


def test_without_prefix_caching_tokens_count_whole() -> None:
    world = World(caching=False)
    world.join("a", [1], 4)
    assert world.step() == {"a": 20}


def test_a_model_that_lets_tokens_go_counts_them_whole() -> None:
    world = World(manager=SlidingWindowManager())
    world.join("a", [1], 4)
    world.join("b", [1], 4)
    assert world.step() == {"a": 20, "b": 20}


def test_by_the_other_rule_only_what_a_step_computed_counts() -> None:
    scale = scale_for(None, Metering.COMPUTED)
    step = SimpleNamespace(num_scheduled_tokens={"decodes": 1, "begins": 58, "has left": 1})
    assert scale.weigh(step, {"decodes": 0, "begins": 0, "is parked": 0}) == {
        "decodes": 1,
        "begins": 58,
    }
