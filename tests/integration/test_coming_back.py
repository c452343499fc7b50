"""Lines whose lease was lost come back to the worker in whose engine they still are."""

from typing import Any

import pytest

from penstock_shared.errors import EngineError
from penstock_shared.ledger import reading
from penstock_shared.ledger.claiming import ClaimId
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Charge, Job
from penstock_shared.words import JobState
from penstock_workers.engine.protocol import Ending
from tests.batches import a_loaded_batch, plain_batch
from tests.examples import a_completion, lose_workers, rows, state_of
from tests.rig import Rig, accept


@pytest.fixture
def rig(database: Database) -> Rig:
    return Rig(database, max_num_seqs=4)


def freeze(rig: Rig) -> None:
    """Past all leases, until somebody has swept."""
    lose_workers(rig.database)


@pytest.mark.parametrize("fields", [{}, {"temperature": 0.5}], ids=["shareable", "random"])
def test_a_line_that_comes_back_is_not_begun_again_and_is_settled_once(
    rig: Rig, database: Database, fields: dict[str, Any]
) -> None:
    a_loaded_batch(database, [1], fields=list(fields.items()))
    rig.batcher._admit_backlog()
    [line] = rig.in_engine
    freeze(rig)
    rig.admit(line)
    assert rig.in_engine == [line]
    assert [claim.fence for claim in rig.flights.claims()] == [2]
    rig.settle(a_completion(line))
    assert state_of(database, line) is JobState.SUCCEEDED
    assert (len(rig.held), len(rig.flights), len(rows(database, Charge))) == (0, 0, 1)


def test_a_line_that_comes_back_while_its_lost_claim_is_aborted_is_claimed_once_more(
    rig: Rig, database: Database
) -> None:
    plain_batch(database, 1)
    rig.batcher._admit_backlog()
    [line] = rig.in_engine
    freeze(rig)
    lost = ClaimId(line, 1)
    assert rig.flights.leave(lost, JobState.CANCELLED, "the claim was lost") == (line, None)
    rig.admit(line)
    rig.settle(a_completion(line, Ending.ABORT))
    assert state_of(database, line) is JobState.QUEUED
    rig.batcher._admit_backlog()
    rig.settle(a_completion(line))
    assert state_of(database, line) is JobState.SUCCEEDED
    assert {row.attempts for row in rows(database, Job)} == {1}


def test_who_comes_back_to_a_flight_that_is_aborted_for_another_goes_back(
    rig: Rig, database: Database
) -> None:
    first, second = accept(database, "same", "same")
    futures = rig.admit(first, second)
    cancelled = JobState.CANCELLED
    _, left = rig.flights.leave(ClaimId(first, 1), cancelled, "the claim was lost")
    assert left is not None
    rig.settlements.withdraw(left)
    rig.flights.leave(ClaimId(second, 1), cancelled, "cancelled by the caller")
    freeze(rig)
    rig.settle()
    assert futures[0].done()
    rig.admit(first)
    rig.settle(a_completion(first, Ending.ABORT))
    assert state_of(database, first) is JobState.QUEUED
    assert (len(rig.held), len(rig.flights)) == (0, 0)


def test_an_admission_that_fails_leaves_the_flights_of_others_alone(
    rig: Rig, database: Database
) -> None:
    plain_batch(database, 1)
    rig.batcher._admit_backlog()
    [line] = rig.in_engine
    freeze(rig)
    [other] = accept(database, "another")
    rig.engine.refuses = EngineError("full")
    rig.admit(line, other)
    assert set(rig.engine.aborted) == {other}
    rig.settle(a_completion(line))
    assert state_of(database, line) is JobState.SUCCEEDED
    assert reading.fetch_one(database, other).status is JobState.QUEUED
