"""A claim was written, and the connection broke before the worker heard of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from penstock_shared.errors import LedgerUnavailable
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job
from penstock_shared.words import AttemptOutcome, JobState
from tests.batches import plain_batch
from tests.examples import a_completion, claim_some, rows, state_of
from tests.rig import Rig, accept


class CutLedger(Database):
    """A ledger whose connection breaks after a commit, as often as the test says."""

    cuts = 0

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
        if self.cuts:
            self.cuts -= 1
            raise LedgerUnavailable("the connection broke after the commit")


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[CutLedger]:
    opened = CutLedger(ledger_url)
    yield opened
    opened.close()


def running(ledger: CutLedger) -> list[str]:
    return sorted(row.id for row in rows(ledger, Job, Job.state == JobState.RUNNING.value))


@pytest.mark.parametrize("cuts", [1, 2, 3])
def test_a_job_is_claimed_again_and_served_at_once(ledger: CutLedger, cuts: int) -> None:
    rig = Rig(ledger)
    before, [job] = accept(ledger, "first", "second"), accept(ledger, "third")
    rig.admit(*before)
    ledger.cuts = cuts
    [future] = rig.admit(job)
    assert not future.done()
    assert rig.in_engine == [*before, job]
    rig.settle(*(a_completion(job_id) for job_id in rig.in_engine))
    assert future.result(0) is state_of(ledger, job) is JobState.SUCCEEDED
    assert {row.attempts for row in rows(ledger, Job)} == {1}


@pytest.mark.parametrize("cuts", [1, 2, 3])
def test_no_line_is_left_that_nobody_knows(ledger: CutLedger, cuts: int) -> None:
    rig = Rig(ledger, max_num_seqs=4)
    plain_batch(ledger, 60)
    ledger.cuts = cuts
    rig.batcher._admit_backlog()
    assert running(ledger) == sorted(rig.in_engine)
    assert {claim.job_id for claim in rig.held.claims()} == set(rig.in_engine)


def test_only_what_the_worker_does_not_hold_is_given_back(ledger: CutLedger) -> None:
    rig = Rig(ledger)
    mine, theirs, stray, new = accept(ledger, "mine", "theirs", "stray", "new")
    rig.admit(mine)
    claim_some(ledger, [theirs], worker_id="another")
    claim_some(ledger, [stray])
    ledger.cuts = 1
    rig.admit(new)
    assert running(ledger) == sorted([mine, theirs, new])
    assert state_of(ledger, stray) is JobState.QUEUED
    outcomes = Counter(row.outcome for row in rows(ledger, Attempt))
    assert outcomes == {AttemptOutcome.CLAIMED: 3, AttemptOutcome.RELEASED: 2}
