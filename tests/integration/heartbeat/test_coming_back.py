"""A heartbeat that was frozen speaks of the claims that it knew, and of no later ones."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock_shared.ledger import claiming
from penstock_shared.words import JobState
from penstock_workers.heartbeat import Heartbeat
from tests.batches import a_loaded_batch
from tests.examples import a_completion, lose_workers, state_of
from tests.rig import Rig


def test_a_line_that_came_back_meanwhile_is_not_taken_for_lost(
    rig: Rig, heart: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_loaded_batch(rig.database, [1], fields=[("temperature", 0.5)])
    rig.batcher._admit_backlog()
    [line] = rig.in_engine
    renew: Callable[..., Any] = claiming.renew

    def frozen_before(*args: Any, **kwargs: Any) -> Any:
        lose_workers(rig.database)
        rig.admit(line)
        return renew(*args, **kwargs)

    monkeypatch.setattr(claiming, "renew", frozen_before)
    heart._beat()
    assert rig.engine.aborted == []
    rig.settle(a_completion(line))
    assert state_of(rig.database, line) is JobState.SUCCEEDED
