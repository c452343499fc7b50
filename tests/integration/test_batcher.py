"""From the queue to the engine: one claim, one lookup, and an outcome for every job of a batch."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock_shared.errors import EngineError, LedgerUnavailable
from penstock_shared.ledger import claiming, reading
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Charge, Job
from penstock_shared.words import AttemptOutcome, JobState, Source
from penstock_workers.cache.cache import Lookup
from penstock_workers.engine.protocol import Ending
from penstock_workers.intake import Requeue
from tests.examples import LEASE, NOW, Clock, a_completion, claim_some, rows, state_of
from tests.rig import BOUND_S, EndingIntake, Rig, accept, statements

SIXTEEN = [f"What is {number}?" for number in range(16)]


class CountingEncoder:
    """Every text points elsewhere; the passes are counted."""

    name = identity = "counting"
    dimension = 64

    def __init__(self) -> None:
        self.passes: list[int] = []
        self._places: dict[str, int] = {}

    def encode(self, questions: Sequence[str]) -> NDArray[np.float32]:
        self.passes.append(len(questions))
        places = [self._places.setdefault(q, len(self._places)) for q in questions]
        return np.eye(self.dimension, dtype=np.float32)[places]


@pytest.fixture
def rig(database: Database) -> Rig:
    return Rig(database)


def test_a_batch_is_claimed_in_one_statement(rig: Rig, database: Database) -> None:
    ids = accept(database, *SIXTEEN)
    with statements(database) as seen:
        rig.admit(*ids)
    claims = [statement for statement in seen if statement.startswith("UPDATE jobs")]
    assert len(claims) == 1
    assert rig.in_engine == ids
    assert {row.lease_until_ms for row in rows(database, Job)} == {NOW + LEASE}


def test_a_batch_is_looked_up_in_one_pass(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = CountingEncoder()
    rig = Rig(database, encoder=encoder)
    lookup: Callable[..., list[Lookup]] = rig.cache.lookup
    sizes: list[int] = []

    def spy(claims: Sequence[Any], **options: Any) -> list[Lookup]:
        sizes.append(len(claims))
        return lookup(claims, **options)

    monkeypatch.setattr(rig.cache, "lookup", spy)
    rig.admit(*accept(database, *SIXTEEN))
    assert sizes == encoder.passes == [16]


def test_a_request_carries_its_tokens_its_sampling_and_its_tenants_salt(
    rig: Rig, database: Database
) -> None:
    rig.admit(
        *accept(database, "What is a dam?", max_tokens=9),
        *accept(database, "What is a weir?", tenant="another"),
        *accept(database, "What is a lock, please?", tenant="another"),
    )
    dam, weir, lock = rig.engine.submitted
    assert (dam.prompt_token_ids, dam.sampling.max_tokens) == ((0, 1, 2, 3), 9)
    assert dam.cache_salt != weir.cache_salt == lock.cache_salt
    assert "another" not in weir.cache_salt


def test_identical_prompts_of_one_batch_become_one_engine_request(
    rig: Rig, database: Database
) -> None:
    ids = accept(database, "same", "other", "same", "same")
    futures = rig.admit(*ids)
    assert rig.in_engine == ids[:2]
    rig.settle(a_completion(ids[0]), a_completion(ids[1]))
    assert {future.result(BOUND_S) for future in futures} == {JobState.SUCCEEDED}
    assert {row.job_id for row in rows(database, Charge, Charge.amount_pusd > 0)} == set(ids[:2])


def test_a_prompt_that_is_under_way_is_joined(rig: Rig, database: Database) -> None:
    first, second = accept(database, "same", "same")
    rig.admit(first)
    rig.admit(second)
    assert rig.in_engine == [first]
    rig.settle(a_completion(first))
    assert reading.fetch_one(database, second).source is Source.JOINED


@pytest.mark.parametrize("fields", [{"temperature": 0.7}, {"cache": False}])
def test_prompts_that_may_not_share_an_answer_fly_alone(
    rig: Rig, database: Database, fields: dict[str, Any]
) -> None:
    ids = accept(database, "same", "same", **fields)
    rig.admit(*ids)
    assert rig.in_engine == ids


def test_a_hit_never_reaches_the_engine(rig: Rig, database: Database) -> None:
    first, second, other = accept(database, "same", "same", "other")
    rig.admit(first)
    rig.settle(a_completion(first, token_ids=(1, 2)))
    hit, _ = rig.admit(second, other)
    assert rig.in_engine == [first, other]
    rig.settle()
    assert hit.result(BOUND_S) is JobState.SUCCEEDED
    result = reading.fetch_one(database, second)
    assert (result.text, result.source, result.charge_usd) == ("w1 w2", Source.EXACT, Decimal(0))


def test_a_prompt_that_is_too_long_fails_with_its_token_count_and_harms_nobody(
    database: Database,
) -> None:
    rig = Rig(database, max_model_len=300)
    ids = accept(database, "short", "word " * 45, "word " * 44, max_tokens=256)
    fits, too_long, just_fits = rig.admit(*ids)
    assert rig.in_engine == [ids[0], ids[2]]
    rig.settle(a_completion(ids[0]), a_completion(ids[2]))
    assert fits.result(BOUND_S) is just_fits.result(BOUND_S) is JobState.SUCCEEDED
    assert too_long.result(BOUND_S) is JobState.FAILED
    assert "45 tokens" in (reading.fetch_one(database, ids[1]).error or "")
    assert len(rig.flights) == 0


def test_a_prompt_that_cannot_be_rendered_fails_alone_and_is_not_logged(
    rig: Rig, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ids = accept(database, "good", "cursed secret", "fine")
    _, cursed, _ = rig.admit(*ids)
    rig.settle()
    assert rig.in_engine == [ids[0], ids[2]]
    assert cursed.result(BOUND_S) is JobState.FAILED
    error = reading.fetch_one(database, ids[1]).error or ""
    assert "ZeroDivisionError" in error
    assert "secret" not in error + caplog.text


def test_an_unknown_job_has_failed(rig: Rig) -> None:
    [unknown] = rig.admit("no-such-job")
    assert unknown.result(BOUND_S) is JobState.FAILED
    assert rig.in_engine == []


@pytest.mark.parametrize("ending", [Ending.STOP, Ending.ERROR])
def test_a_job_that_ended_is_answered_from_the_ledger(
    rig: Rig, database: Database, ending: Ending
) -> None:
    [job_id] = accept(database, "What is a dam?")
    [first] = rig.admit(job_id)
    rig.settle(a_completion(job_id, ending))
    [again] = rig.admit(job_id)
    assert again.result(BOUND_S) is first.result(BOUND_S) is state_of(database, job_id)
    assert rig.in_engine == [job_id]


def test_a_job_that_another_worker_holds_is_left_to_it(rig: Rig, database: Database) -> None:
    theirs, ours = accept(database, "theirs", "ours")
    claim_some(database, [theirs], worker_id="another")
    future, _ = rig.admit(theirs, ours)
    assert future.result(BOUND_S) is JobState.RUNNING
    assert rig.in_engine == [ours]


def test_a_job_past_its_deadline_expires_instead_of_running(rig: Rig, database: Database) -> None:
    [job_id] = accept(database, "What is a dam?", deadline_ms=NOW)
    [future] = rig.admit(job_id)
    assert future.result(BOUND_S) is JobState.EXPIRED
    assert rig.in_engine == []


def test_an_admission_that_fails_loses_its_jobs_one_by_one_and_the_next_one_goes_on(
    rig: Rig, database: Database
) -> None:
    ids = accept(database, "same", "same", "other")
    rig.engine.refuses = EngineError("full")
    futures = rig.admit(*ids)
    assert {future.result(BOUND_S) for future in futures} == {JobState.QUEUED}
    assert (len(rig.flights), rig.flights.claims(), len(rig.held)) == (0, [], 0)
    assert set(rig.engine.aborted) == set(ids)
    assert {row.attempts for row in rows(database, Job)} == {1}
    rig.engine.refuses = None
    rig.admit(*ids)
    assert rig.in_engine == [ids[0], ids[2]]


def test_one_job_that_breaks_its_admission_costs_its_neighbours_nothing(
    rig: Rig, database: Database
) -> None:
    good, bad, other = ids = accept(database, "good", "breaks", "other")
    lookup = rig.cache.lookup

    def break_at(claims: Sequence[Claim], **options: Any) -> list[Lookup]:
        if any(claim.job_id == bad for claim in claims):
            raise ZeroDivisionError
        return lookup(claims, **options)

    rig.cache.lookup = break_at  # type: ignore[method-assign]
    futures = rig.admit(*ids)
    assert rig.in_engine == [good, other]
    assert futures[1].result(BOUND_S) is JobState.QUEUED
    assert {row.id: row.attempts for row in rows(database, Job)} == dict.fromkeys(ids, 1)
    [lost] = rows(database, Attempt, Attempt.outcome == AttemptOutcome.LOST.value)
    assert (lost.job_id, lost.error) == (bad, "it cannot be admitted (ZeroDivisionError)")


def test_a_job_that_joined_before_its_batch_failed_is_still_answered(
    rig: Rig, database: Database
) -> None:
    flying, joining, other = accept(database, "same", "same", "other")
    rig.admit(flying)
    rig.engine.refuses = EngineError("full")
    rig.admit(joining, other)
    assert [claim.job_id for claim in rig.flights.claims()] == [flying, joining]
    rig.settle(a_completion(flying))
    assert [state_of(database, job_id) for job_id in (flying, joining, other)] == [
        JobState.SUCCEEDED,
        JobState.SUCCEEDED,
        JobState.QUEUED,
    ]


def test_an_outage_of_the_ledger_delays_the_admission_and_loses_nothing(
    rig: Rig, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = accept(database, "first", "second")
    claim: Callable[..., Any] = claiming.claim
    outages = [LedgerUnavailable("away")] * 3

    def sometimes(*args: Any, **kwargs: Any) -> Any:
        if outages:
            raise outages.pop()
        return claim(*args, **kwargs)

    monkeypatch.setattr(claiming, "claim", sometimes)
    rig.admit(*ids)
    assert rig.in_engine == ids


@pytest.mark.parametrize(("slots", "waits"), [(2, False), (1, True)])
def test_a_batch_waits_for_company_only_while_the_engine_is_full(
    database: Database, slots: int, waits: bool
) -> None:
    ticks = iter(range(10_000))
    intake = EndingIntake(max_batch_size=16, max_wait_ms=10_000, clock=lambda: float(next(ticks)))
    rig = Rig(database, intake=intake, max_num_seqs=slots)
    first, second = accept(database, "first", "second")
    rig.admit(first)
    before = next(ticks)
    rig.admit(second)
    assert (next(ticks) - before > 10) is waits
    assert rig.in_engine == [first, second]


def test_batches_have_at_most_their_size(database: Database) -> None:
    rig = Rig(database, intake=EndingIntake(max_batch_size=4, max_wait_ms=0), clock=Clock(NOW))
    ids = accept(database, *SIXTEEN)
    with statements(database) as seen:
        rig.admit(*ids)
    assert len([statement for statement in seen if statement.startswith("UPDATE jobs")]) == 4
    assert rig.in_engine == ids


def test_jobs_that_were_lost_together_run_with_fewer_beside_them_and_none_is_forgotten(
    rig: Rig, database: Database
) -> None:
    ids = accept(database, *SIXTEEN)
    rig.unfinished.lose(claim_some(database, ids), "the engine died", together=True)
    futures = rig.admit(*ids)
    assert len(rig.in_engine) == rig.engine.limits.max_num_seqs >> 3
    assert [type(f.exception(BOUND_S)) for f in futures if f.done()] == [Requeue] * 8
    assert {row.attempts for row in rows(database, Job, Job.id.in_(rig.in_engine))} == {1}


def test_what_goes_wrong_in_an_unforeseen_way_leaves_nothing_held(
    rig: Rig, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = accept(database, "first", "second")
    monkeypatch.setattr(rig.batcher._quarantine, "take", lambda: 1 / 0)
    futures = rig.admit(*ids)
    assert [type(future.exception(BOUND_S)) for future in futures] == [Requeue, Requeue]
    assert len(rig.held) == 0
    assert {(row.state, row.attempts) for row in rows(database, Job)} == {(JobState.QUEUED, 0)}
