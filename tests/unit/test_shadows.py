"""Shadows use what is free of the engine, and never a seat that a job needs."""

import pytest

from penstock_shared.ledger.cache_entries import Entry
from penstock_shared.request import Sampling
from penstock_shared.words import Source
from penstock_workers.cache.cache import Hit
from penstock_workers.engine.protocol import EngineLimits, EngineRequest
from penstock_workers.flights import Flights
from penstock_workers.shadows import Doubt, Shadows
from tests.examples import a_claim, a_lookup
from tests.rig import RecordingEngine

HIT = Hit(Entry(7, "k", "p", "q", "a", "stop", 1, 1, 9), Source.SEMANTIC, "so", 0.9, "0.90")


class World:
    def __init__(self, seats: int) -> None:
        self.engine = RecordingEngine(EngineLimits(4096, seats, None, None))
        self.flights = Flights()
        self.shadows = Shadows(self.flights, self.engine)

    def add(self, *ids: str) -> None:
        for shadow_id in ids:
            doubt = Doubt(a_lookup(a_claim(job_id=shadow_id), hit=HIT), HIT, served=True)
            self.shadows.add(EngineRequest(shadow_id, (1,), Sampling(), "salt"), doubt)
        self.shadows.board()

    def fly(self, *ids: str) -> None:
        for job_id in ids:
            self.flights.start(a_lookup(a_claim(job_id, job_id=job_id)), 1)
        self.shadows.make_room()

    @property
    def inside(self) -> list[str]:
        return [request.request_id for request in self.engine.submitted]


@pytest.mark.parametrize(("seats", "most"), [(1, 1), (4, 4), (8, 7), (64, 56)])
def test_an_eighth_of_the_engine_stays_free(seats: int, most: int) -> None:
    world = World(seats)
    world.add(*(f"s{number}" for number in range(60)))
    assert len(world.inside) == most


def test_a_shadow_waits_until_jobs_have_left() -> None:
    world = World(2)
    world.fly("a", "b")
    world.add("s")
    assert world.inside == []
    world.flights.land("a")
    world.shadows.board()
    assert world.inside == ["s"]


def test_as_many_leave_as_jobs_need_seats_and_the_last_come_leave_first() -> None:
    world = World(4)
    world.add("s1", "s2", "s3")
    world.fly("a", "b", "c")
    assert set(world.engine.aborted) == {"s2", "s3"}
    world.fly("d")
    assert sorted(world.engine.aborted) == ["s1", "s2", "s3"]
    assert (world.shadows.inside, world.shadows.flying) == (3, 0)
    assert world.shadows.land("s1") is not None
    assert world.shadows.inside == 2


def test_beside_a_suspect_there_are_none_and_afterwards_there_are_again() -> None:
    world = World(8)
    world.add("s1")
    world.shadows.allow(allowed=False)
    assert world.engine.aborted == ["s1"]
    world.add("s2")
    assert world.inside == ["s1"]
    world.shadows.allow(allowed=True)
    world.shadows.board()
    assert world.inside == ["s1", "s2"]


def test_once_closed_nobody_boards_any_more() -> None:
    world = World(1)
    world.add("s1", "s2")
    world.shadows.close()
    world.shadows.close()
    world.shadows.land("s1")
    world.shadows.allow(allowed=True)
    world.add("s3")
    assert (world.inside, world.engine.aborted) == (["s1"], ["s1"])


def test_with_the_engine_all_are_forgotten() -> None:
    world = World(1)
    world.add("s1", "s2")
    world.shadows.forget()
    world.add("s3")
    assert (world.inside, world.shadows.inside, world.shadows.flying) == (["s1"], 0, 0)
    assert world.shadows.land("s1") is None


def test_only_so_many_wait() -> None:
    world = World(1)
    world.add("s")
    world.add(*(f"s{number}" for number in range(200)))
    assert not world.shadows.wants_more
    assert len(world.shadows._waiting) == 64


def test_one_that_the_engine_does_not_take_is_not_inside() -> None:
    world = World(1)
    world.engine.refuses = OSError("away")
    with pytest.raises(OSError, match="away"):
        world.add("s1")
    assert world.shadows.inside == 0


def test_nobody_is_in_the_engine_twice() -> None:
    world = World(8)
    world.add("s1", "s1")
    assert world.inside == ["s1"]
