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
RESERVE = 16


@pytest.fixture
def rig(database: Database) -> Rig:
    return Rig(database, max_num_seqs=SEATS)


def test_the_engine_is_filled_and_a_reserve_waits_in_it(rig: Rig, database: Database) -> None:
    plain_batch(database, 50)
    rig.batcher._admit_backlog()
    assert len(rig.in_engine) == SEATS + RESERVE
    assert all(request.background for request in rig.engine.submitted)
    rig.batcher._admit_backlog()
    assert len(rig.in_engine) == SEATS + RESERVE


def test_more_lines_come_when_some_have_ended(rig: Rig, database: Database) -> None:
    batch = plain_batch(database, 50)
    rig.batcher._admit_backlog()
    rig.settle(*(a_completion(job_id) for job_id in rig.in_engine))
    rig.batcher._admit_backlog()
    assert len(set(rig.in_engine)) == 2 * (SEATS + RESERVE)
    assert lines.count(database, batch.id) == Counts(queued=10, running=20, succeeded=20)


def test_jobs_that_come_by_message_find_room_beside_lines(rig: Rig, database: Database) -> None:
    plain_batch(database, 50)
    rig.batcher._admit_backlog()
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
    assert lines.work(database, batch.id).cached == 1
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
