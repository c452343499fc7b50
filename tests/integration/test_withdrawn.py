"""A job that its caller withdrew ends, also when its worker gives it back or is lost with it."""

from collections.abc import Callable

import pytest

from penstock_shared.ledger import claiming, dead, settling
from penstock_shared.ledger.batches import lines, records
from penstock_shared.ledger.batches.lines import Counts
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job
from penstock_shared.words import AttemptOutcome, JobState
from penstock_workers.engine.protocol import Ending
from tests.batches import BATCH, plain_batch
from tests.budgets import a_budget, claimed, standing
from tests.examples import (
    ACCOUNT,
    NOW,
    WORKER,
    a_completion,
    claim_some,
    lose_engines,
    lose_workers,
    rows,
)
from tests.rig import Rig

DAY = a_budget(100)


def give_back(database: Database, claim: Claim) -> None:
    for _ in range(2):  # the connection may break after the commit
        settling.give_back(database, ACCOUNT, [claim], 5, NOW + 9)


def lose_alone(database: Database, claim: Claim) -> None:
    assert lose_engines(database, [claim], now_ms=NOW + 9, max_attempts=1) == (0, 0)


def vanish(database: Database, _: Claim) -> None:
    assert lose_workers(database, now_ms=NOW + 9) == (0, 0)


@pytest.mark.parametrize("part", [give_back, lose_alone, vanish])
def test_a_withdrawn_job_that_leaves_its_worker_unfinished_is_cancelled(
    database: Database, part: Callable[[Database, Claim], None]
) -> None:
    claim = claimed(database, DAY)
    assert claiming.cancel(database, [claim.job_id], NOW) == {claim.job_id: JobState.RUNNING}
    part(database, claim)
    [row] = rows(database, Job)
    assert (row.state, row.error) == (JobState.CANCELLED, "cancelled by the caller")
    assert (row.finished_ms, row.lease_until_ms) == (NOW + 9, None)
    assert standing(database, DAY) == (0, 0)
    [attempt] = rows(database, Attempt)
    assert attempt.outcome in {AttemptOutcome.RELEASED, AttemptOutcome.LOST}
    assert attempt.ended_ms == NOW + 9
    assert claim_some(database, [claim.job_id], now_ms=NOW + 99_999) == []


def test_lines_of_a_cancelled_batch_end_when_their_worker_drains(database: Database) -> None:
    rig = Rig(database, max_num_seqs=4)
    plain_batch(database, 3)
    rig.batcher._admit_backlog()
    records.cancel(database, BATCH, NOW)
    assert lines.count(database, BATCH) == Counts(running=3)
    rig.settle(*(a_completion(line, Ending.ABORT) for line in rig.in_engine))
    assert lines.count(database, BATCH) == Counts(cancelled=3)


def test_cancelling_ends_what_waits_and_asks_for_what_runs(database: Database) -> None:
    running, waiting = claimed(database, DAY), claimed(database, DAY)
    settling.give_back(database, ACCOUNT, [waiting], 0, NOW)
    states = claiming.cancel(database, [running.job_id, waiting.job_id], NOW)
    assert states == {running.job_id: JobState.RUNNING, waiting.job_id: JobState.CANCELLED}
    assert standing(database, DAY) == (0, 40)
    assert [claim.job_id for claim in claiming.to_cancel(database, WORKER)] == [running.job_id]
    [row] = rows(database, Job, Job.id == running.job_id)
    assert (row.finished_ms, row.error) == (None, None)


@pytest.mark.parametrize("ending", [JobState.FAILED, JobState.DEAD])
def test_what_is_retried_is_not_withdrawn_any_more(database: Database, ending: JobState) -> None:
    plain_batch(database, 1)
    [job_id] = [row.id for row in rows(database, Job)]
    claim_some(database, [job_id])
    claiming.cancel(database, [job_id], NOW)
    with database.write() as connection:
        connection.execute(Job.__table__.update().values(state=ending.value, finished_ms=NOW))
    if ending is JobState.DEAD:
        dead.retry(database, [job_id])
    else:
        lines.retry_failed(database, BATCH)
    claim_some(database, [job_id])
    assert claiming.to_cancel(database, WORKER) == []
