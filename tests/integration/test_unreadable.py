"""A request that a newer version wrote harms nobody, and may find a worker that reads it."""

import pytest
from sqlalchemy import update

from penstock_shared.ledger import dead
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job
from penstock_shared.words import AttemptOutcome, JobState
from tests.batches import plain_batch
from tests.examples import NOW, accept_some, claim_some, rows, state_of
from tests.rig import BOUND_S, Rig, accept

NEWER = '{"messages":[{"role":"user","content":"secret"}],"from_the_future":1}'


def rewrite(database: Database, job_id: str, request: str = NEWER) -> str:
    """Let a newer version have written the request; returns what was there."""
    [row] = rows(database, Job, Job.id == job_id)
    with database.write() as connection:
        connection.execute(update(Job).where(Job.id == job_id).values(request=request))
    return str(row.request)


def test_the_others_of_its_batch_are_served_and_it_loses_an_attempt(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(database)
    unreadable, *others = ids = accept(database, "first", "second", "third")
    rewrite(database, unreadable)
    futures = rig.admit(*ids)
    assert rig.in_engine == others
    assert futures[0].result(BOUND_S) is JobState.QUEUED
    assert {row.id: row.attempts for row in rows(database, Job)} == dict.fromkeys(ids, 1)
    assert {claim.job_id for claim in rig.held.claims()} == set(others)
    assert "from_the_future" in caplog.text
    assert "secret" not in caplog.text


def test_another_worker_may_read_it(database: Database) -> None:
    rig = Rig(database)
    [job_id] = accept(database, "What is a dam?")
    written = rewrite(database, job_id)
    rig.admit(job_id)
    rewrite(database, job_id, written)
    [claim] = claim_some(database, [job_id], worker_id="a newer one")
    assert claim.request.question == "What is a dam?"


def test_when_nobody_can_read_it_it_is_dead_and_can_be_retried(database: Database) -> None:
    rig = Rig(database)
    [job_id] = accept_some(database)
    written = rewrite(database, job_id)
    for number in range(3):
        rig.clock.now = NOW + 10_000 * number
        rig.admit(job_id)
    [row] = rows(database, Job)
    assert (row.state, row.attempts) == (JobState.DEAD, 3)
    assert "cannot read its request (from_the_future: Extra inputs" in row.error
    assert "upgrade the workers and retry it" in row.error
    assert {attempt.outcome for attempt in rows(database, Attempt)} == {AttemptOutcome.LOST}
    rewrite(database, job_id, written)
    dead.retry(database, [job_id])
    rig.admit(job_id)
    assert rig.in_engine == [job_id]


def test_a_line_that_cannot_be_read_does_not_stop_the_backlog(database: Database) -> None:
    rig = Rig(database, max_num_seqs=4)
    plain_batch(database, 4)
    unreadable = next(row.id for row in rows(database, Job) if row.batch_line == 1)
    rewrite(database, unreadable, "no JSON")
    rig.batcher._admit_backlog()
    assert len(rig.in_engine) == 3
    assert state_of(database, unreadable) is JobState.QUEUED
    rig.batcher._admit_backlog()
    assert len(rig.in_engine) == 3
