"""A caller reads back everything about a job, in exact money."""

import json
from decimal import Decimal

import pytest

from penstock_shared.errors import JobCancelled, JobDead, JobExpired, JobFailed, JobNotFound
from penstock_shared.ledger import reading, settling
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Settlement
from penstock_shared.result import Result
from penstock_shared.words import JobState, Source, TaskType
from tests.examples import ACCOUNT, NOW, accept_some, an_answer, claim_some, lose_engines, succeeded


def settled(database: Database, settlement_cost: int = 1_234_567, **fields: object) -> Result:
    [claim] = claim_some(database, accept_some(database, **fields))  # type: ignore[arg-type]
    answer = an_answer(source_detail="why", quantization="fp8", speculation="ngram")
    settling.settle(
        database, ACCOUNT, [succeeded(claim, settlement_cost, answer=answer)], NOW + 500
    )
    return reading.fetch_one(database, claim.job_id)


def test_a_result_has_every_field_of_its_job_answer_and_charge(database: Database) -> None:
    result = settled(database, tenant="acme", workflow="nightly", metadata={"row": 7})
    assert result == Result(
        job_id=result.job_id,
        status=JobState.SUCCEEDED,
        text="A wall across a river.",
        tier="small",
        reason="the caller chose this tier",
        task_type=TaskType.FACTUAL_QA,
        tenant="acme",
        workflow="nightly",
        source=Source.ENGINE,
        source_detail="why",
        finish_reason="stop",
        model="a-model",
        revision="r1",
        quantization="fp8",
        speculation="ngram",
        prompt_tokens=7,
        cached_tokens=2,
        completion_tokens=5,
        queue_ms=30,
        prefill_ms=20,
        decode_ms=10,
        latency_ms=500,
        charge_usd=Decimal("0.000001234567"),
        saved_usd=Decimal(0),
        attempts=1,
        error=None,
        metadata={"row": 7},
    )
    assert not result.cached


def test_money_is_exact_from_the_smallest_to_the_largest_charge(database: Database) -> None:
    assert settled(database, 1).charge_usd == Decimal("0.000000000001")
    assert settled(database, 2**63 - 1).charge_usd == Decimal("9223372.036854775807")


def test_money_is_written_as_a_plain_number(database: Database) -> None:
    written = json.loads(settled(database, 100).model_dump_json())
    assert written["charge_usd"] == "0.0000000001"
    assert json.loads(settled(database, 0).model_dump_json())["charge_usd"] == "0"


def test_a_hit_says_which_entry_answered_and_what_that_saved(database: Database) -> None:
    [claim] = claim_some(database, accept_some(database))
    answer = an_answer(source=Source.SEMANTIC, entry_id=7, saved_pusd=1_234_567)
    settling.settle(database, ACCOUNT, [succeeded(claim, 0, answer=answer)], NOW)
    result = reading.fetch_one(database, claim.job_id)
    assert (result.cached, result.entry_id, result.charge_usd) == (True, 7, 0)
    assert json.loads(result.model_dump_json())["saved_usd"] == "0.000001234567"


def test_a_near_miss_says_which_entry_was_near_and_why_it_was_not_served(
    database: Database,
) -> None:
    [claim] = claim_some(database, accept_some(database))
    answer = an_answer(near_miss="entry 7: differ in \x00")
    settling.settle(database, ACCOUNT, [succeeded(claim, answer=answer)], NOW)
    assert reading.fetch_one(database, claim.job_id).near_miss == "entry 7: differ in \ufffd"


def test_a_job_that_waits_has_a_state_and_nothing_else(database: Database) -> None:
    [job_id] = accept_some(database)
    result = reading.fetch_one(database, job_id)
    assert (result.status, result.text, result.charge_usd) == (JobState.QUEUED, None, None)
    assert (result.latency_ms, result.attempts) == (None, 0)
    result.raise_for_status()


def test_a_thousand_results_come_in_one_reading_and_unknown_ids_are_left_out(
    database: Database,
) -> None:
    ids = accept_some(database, 1001)
    assert set(reading.fetch(database, [*ids, "no-such-job"])) == set(ids)


def test_an_unknown_job_is_named(database: Database) -> None:
    with pytest.raises(JobNotFound, match="'no-such-job'"):
        reading.fetch_one(database, "no-such-job")


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (JobState.FAILED, JobFailed),
        (JobState.CANCELLED, JobCancelled),
        (JobState.EXPIRED, JobExpired),
    ],
)
def test_a_job_without_an_answer_raises_its_own_error_with_the_reason(
    database: Database, state: JobState, error: type[Exception]
) -> None:
    [claim] = claim_some(database, accept_some(database))
    settling.settle(database, ACCOUNT, [Settlement(claim, state, 0, error="because")], NOW)
    with pytest.raises(error, match=f"{claim.job_id} {state.value}: because"):
        reading.fetch_one(database, claim.job_id).raise_for_status()


def test_a_dead_job_raises_its_own_error(database: Database) -> None:
    held = claim_some(database, accept_some(database))
    lose_engines(database, held, max_attempts=1)
    with pytest.raises(JobDead, match="lost in each of 1"):
        reading.fetch_one(database, held[0].job_id).raise_for_status()
