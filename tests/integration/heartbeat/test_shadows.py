"""The heartbeat lets those into the engine that waited for room, also when no job comes."""

import pytest

from penstock_shared.ledger.cache_entries import Entry
from penstock_shared.request import Sampling
from penstock_shared.words import Source
from penstock_workers.cache.cache import Hit
from penstock_workers.engine.protocol import EngineRequest
from penstock_workers.shadows import Doubt
from tests.examples import a_claim, a_lookup
from tests.integration.heartbeat.conftest import OutageLedger
from tests.rig import Rig, eventually

HIT = Hit(Entry(7, "k", "p", "q", "a", "stop", 1, 1, 9), Source.SEMANTIC, "so", 0.9, "0.90")


@pytest.mark.usefixtures("beating")
@pytest.mark.parametrize("away", [False, True])
def test_a_shadow_boards_at_the_next_beat_even_without_the_ledger(
    rig: Rig, database: OutageLedger, away: bool
) -> None:
    database.is_away = away
    request = EngineRequest("trial-a", (1,), Sampling(), "salt")
    rig.shadows.add(request, Doubt(a_lookup(a_claim(), hit=HIT), HIT, served=True))
    eventually(lambda: rig.in_engine == ["trial-a"])
    database.is_away = False
