"""A worker and the backlog: it fills its engine, lets others pass, and gives back what it took."""

import pytest

from penstock_shared.ledger.batches import lines
from penstock_shared.ledger.batches.lines import Counts
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Charge
from penstock_workers.engine.protocol import Ending
from penstock_workers.quarantine import Suspect
from tests.batches import a_loaded_batch, plain_batch, take
from tests.examples import a_completion, rows
from tests.rig import Rig, accept

SEATS = 4
AT_ONCE = 16
FULL = 2 * SEATS + AT_ONCE


@pytest.fixture
def rig(database: Database) -> Rig:
    return Rig(database, max_num_seqs=SEATS)


def fill(rig: Rig) -> None:
    """Take lines until the engine wants no more."""
    before = -1
    while len(rig.in_engine) > before:
        before = len(rig.in_engine)
        rig.batcher._admit_backlog()


def test_the_engine_is_filled_and_a_reserve_waits_in_it(rig: Rig, database: Database) -> None:
    plain_batch(database, 60)
    rig.batcher._admit_backlog()
    assert len(rig.in_engine) == AT_ONCE  # who comes by message waits for no more than these
    fill(rig)
    assert FULL - AT_ONCE < len(rig.in_engine) <= FULL
    assert all(request.background for request in rig.engine.submitted)


def test_more_lines_come_when_some_have_ended(rig: Rig, database: Database) -> None:
    batch = plain_batch(database, 60)
    ended: list[str] = []
    while len(ended) < 60:
        fill(rig)
        new = rig.in_engine[len(ended) :]
        assert new
        rig.settle(*(a_completion(job_id) for job_id in new))
        ended += new
    assert len(set(ended)) == 60
    assert lines.count(database, batch.id) == Counts(succeeded=60)


def test_jobs_that_come_by_message_find_room_beside_lines(rig: Rig, database: Database) -> None:
    plain_batch(database, 50)
    fill(rig)
    assert rig.batcher._has_room()
    ids = accept(database, "What is a dam?", "What is a weir?")
    rig.admit(*ids)
    assert rig.flights.awaited == 2
    assert [r.request_id for r in rig.engine.submitted if not r.background] == ids


def test_who_waits_joins_no_line(rig: Rig, database: Database) -> None:
    a_loaded_batch(database, [1])
    rig.batcher._admit_backlog()
    [line] = rig.in_engine
    [job] = accept(database, "line 1 of batch_1")
    rig.admit(job)
    assert rig.in_engine == [line, job]


def test_a_line_joins_a_job_with_the_same_prompt(rig: Rig, database: Database) -> None:
    [job] = accept(database, "line 1 of batch_1")
    rig.admit(job)
    batch = plain_batch(database, 1)
    rig.batcher._admit_backlog()
    assert rig.in_engine == [job]
    rig.settle(a_completion(job))
    assert lines.count(database, batch.id) == Counts(succeeded=1)
    [joined] = lines.results(database, batch.id, [1])
    assert joined.result.cached
    assert len(rows(database, Charge)) == 2


def test_a_line_that_was_aborted_goes_back_to_the_backlog(rig: Rig, database: Database) -> None:
    batch = plain_batch(database, 1)
    rig.batcher._admit_backlog()
    [line] = rig.in_engine
    rig.settle(a_completion(line, Ending.ABORT))
    assert lines.count(database, batch.id) == Counts(queued=1)
    assert [claim.job_id for claim in take(database)] == [line]


def test_beside_suspects_no_line_is_taken(rig: Rig, database: Database) -> None:
    plain_batch(database, 2)
    rig.batcher._quarantine.add([Suspect(1, "a-suspect")])
    rig.batcher._admit_backlog()
    assert rig.in_engine == []
