"""What a worker's memory of the cache takes over from the ledger, and tells it."""

from collections.abc import Sequence
from typing import Any

import pytest

from penstock_shared.cache_settings import CacheSettings
from penstock_shared.errors import LedgerUnavailable
from penstock_shared.ledger import cache_entries, cache_trials, settling
from penstock_shared.ledger.cache_trials import Trial
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheEntry
from penstock_workers.cache import cache as cache_module
from penstock_workers.cache.cache import Cache
from tests.examples import (
    ACCOUNT,
    IDENTITY,
    NOW,
    Clock,
    a_claim,
    accept_some,
    an_answer,
    claim_some,
    rows,
    succeeded,
)
from tests.integration.plane import PlaneEncoder, verify


class World:
    """Entries in the ledger, and one cache that follows them."""

    def __init__(self, database: Database, **settings: Any) -> None:
        self.database = database
        self.clock = Clock(NOW)
        self.cache = Cache(
            database,
            CacheSettings(**settings),
            tier="small",
            identity=IDENTITY,
            encoder=PlaneEncoder(),  # type: ignore[arg-type]
            now_ms=self.clock,
        )

    def store(self, *prompts: str) -> list[int]:
        for prompt in prompts:
            [lookup] = self.cache.lookup([a_claim(prompt)])
            [held] = claim_some(self.database, accept_some(self.database))
            entry = self.cache.new_entry(lookup, model="a-model")
            settlement = succeeded(held, answer=an_answer(prompt), entry=entry)
            settling.settle(self.database, ACCOUNT, [settlement], NOW)
        return [row.id for row in rows(self.database, CacheEntry)][-len(prompts) :]

    def record(self, band: str, *agreed: bool) -> None:
        """Let another worker write trials down."""
        key = self.cache.lookup([a_claim()])[0].key
        trials = [
            Trial(job_id, "small", "default", key.partition, band, 1, 0.8, "so", one, True, 0)
            for job_id, one in zip(accept_some(self.database, len(agreed)), agreed, strict=True)
        ]
        cache_trials.record(self.database, trials, NOW)

    @property
    def held(self) -> Sequence[int]:
        index = self.cache._index
        assert index is not None
        return sorted(index.ids())


@pytest.fixture(autouse=True)
def _believing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "verify", verify)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_entries_that_are_dropped_leave_the_index(world: World, database: Database) -> None:
    first, second, third = world.store("A", "B", "C")
    world.cache.refresh()
    assert world.held == [first, second, third]
    cache_entries.drop(database, entry_ids=[second])
    world.cache.refresh()
    assert world.held == [first, third]


def test_an_entry_that_is_dropped_is_not_served_even_before_the_index_hears_of_it(
    world: World, database: Database
) -> None:
    [entry_id] = world.store("A")
    world.cache.refresh()
    cache_entries.drop(database, entry_ids=[entry_id])
    assert world.cache.lookup([a_claim("A at 0.95")])[0].hit is None


def test_an_entry_that_becomes_visible_after_a_later_one_is_taken_up(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.store("A", "B")
    after = cache_entries.vectors_after

    def without_the_first(*given: Any, **named: Any) -> Any:
        return [vector for vector in after(*given, **named) if vector.entry_id != first]

    with monkeypatch.context() as patched:
        patched.setattr(cache_entries, "vectors_after", without_the_first)
        world.cache.refresh()
    assert world.held == [second]
    world.cache.refresh()
    assert world.held == [first, second]


def test_at_its_capacity_the_newest_are_held_and_deletions_are_followed(database: Database) -> None:
    world = World(database, capacity=3)
    _, second, third, fourth = world.store("A", "B", "C", "D")
    world.cache.refresh()
    world.cache.refresh()
    assert world.held == [second, third, fourth]
    cache_entries.drop(database, entry_ids=[third])
    world.cache.refresh()
    assert third not in world.held


def test_comparisons_of_other_workers_are_learned_once(world: World) -> None:
    [lookup] = world.cache.lookup([a_claim()])
    world.record("0.80", True, False)
    world.cache.refresh()
    world.record("0.80", True)
    world.cache.refresh()
    world.cache.refresh()
    assert world.cache._trust.count(lookup.key.partition, "0.80") == (3, 1)


def test_what_was_served_is_told_to_the_ledger_in_one_go(world: World) -> None:
    first, second = world.store("A", "B")
    world.clock.now = NOW + 5
    for entry_id in (first, first, second):
        world.cache.served(entry_id)
    world.cache.refresh()
    world.cache.refresh()
    found = {row.id: (row.hits, row.used_ms) for row in rows(world.database, CacheEntry)}
    assert found == {first: (2, NOW + 5), second: (1, NOW + 5)}


def test_when_the_ledger_is_away_what_was_served_is_forgotten_and_nothing_breaks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    [entry_id] = world.store("A")
    world.cache.served(entry_id)

    def away(*_: object) -> None:
        raise LedgerUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(cache_entries, "touch", away)
        with pytest.raises(LedgerUnavailable):
            world.cache.refresh()
    world.cache.refresh()
    assert [row.hits for row in rows(world.database, CacheEntry)] == [0]
