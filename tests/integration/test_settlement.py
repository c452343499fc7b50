"""From the engine to the result: who gets which answer, who pays, and what is never kept."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from decimal import Decimal
from typing import Any

import pytest

from penstock_shared.ledger import claiming, reading, worker_time
from penstock_shared.ledger.claiming import ClaimId
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheEntry, Charge, Job, JobResult
from penstock_shared.settings import CacheSettings, TierSettings
from penstock_shared.words import JobState, Source
from penstock_workers.cache.cache import Cache, Lookup
from penstock_workers.engine.protocol import Completion, Ending, EngineLimits
from penstock_workers.flights import Flights
from penstock_workers.held import Held
from penstock_workers.intake import Intake, Requeue
from penstock_workers.patience import Patience
from penstock_workers.settlement import Settlements
from penstock_workers.shadows import Shadows
from penstock_workers.trials import Trials
from penstock_workers.unfinished import Unfinished
from tests.examples import (
    ACCOUNT,
    IDENTITY,
    NOW,
    Clock,
    a_completion,
    accept_some,
    claim_some,
    lose_workers,
    open_books,
    rows,
)
from tests.rig import RecordingEngine

BOUND_S = 30.0


class WordRenderer:
    """Decodes tokens to words; the token 13 cannot be decoded."""

    def decode(self, token_ids: Sequence[int]) -> str:
        if 13 in token_ids:
            raise ValueError("13 is no token")
        return " ".join(f"w{token}" for token in token_ids)


class Desk:
    """A worker's settlement with everything around it but the engine."""

    def __init__(self, database: Database) -> None:
        open_books(database)
        clock, held, patience = Clock(NOW), Held(), Patience(max_pause_s=0.01)
        self.database = database
        self.flights = Flights()
        self.intake = Intake(max_batch_size=16, max_wait_ms=0)
        self.cache = Cache(
            database,
            CacheSettings(semantic=False),
            tier="small",
            identity=IDENTITY,
            encoder=None,
            now_ms=clock,
        )
        self.engine = engine = RecordingEngine(EngineLimits(4096, 64, None, None))
        renderer: Any = WordRenderer()
        unfinished = Unfinished(
            database=database,
            account=ACCOUNT,
            held=held,
            intake=self.intake,
            patience=patience,
            max_attempts=3,
            engine=engine,
            now_ms=clock,
        )
        trials = Trials(
            database=database,
            tier="small",
            cache=self.cache,
            renderer=renderer,
            shadows=Shadows(self.flights, engine),
            engine=engine,
            patience=patience,
            explore_share=0,
            answer_similarity=1,
            now_ms=clock,
        )
        self.settlements = Settlements(
            database=database,
            account=ACCOUNT,
            tier=TierSettings(model="a-model", price_per_hour=Decimal(1)),
            intake=self.intake,
            cache=self.cache,
            renderer=renderer,
            flights=self.flights,
            held=held,
            unfinished=unfinished,
            trials=trials,
            engine=engine,
            patience=patience,
            now_ms=clock,
        )

    def board(self, *prompts: str, **fields: Any) -> list[str]:
        """Bring jobs into the engine, each joining the flight of an equal prompt."""
        ids = [accept_some(self.database, **fields)[0] for _ in prompts]
        held = claim_some(self.database, ids)
        for claim, prompt in zip(held, prompts, strict=True):
            request = type(claim.request).build(prompt, **fields)
            [lookup] = self.cache.lookup([claim._replace(request=request)])
            self._take_off(lookup)
        return ids

    def settle(self, *completions: Completion) -> None:
        """Settle what the engine finished, and end."""
        self.settlements.add_completions(completions)
        self.settlements.stop()
        self.settlements.run()

    def _take_off(self, lookup: Lookup) -> None:
        if not self.flights.join(lookup):
            self.flights.start(lookup, 7)


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def books(database: Database) -> tuple[int, int]:
    [found] = worker_time.read_books(database)
    return found.charged_pusd, found.waste_pusd


def test_a_completion_becomes_the_result_of_its_job(desk: Desk, database: Database) -> None:
    [job_id] = desk.board("What is a dam?")
    future = desk.intake.deliver(job_id)
    desk.settle(a_completion(job_id, cost_pusd=900))
    result = reading.fetch_one(database, job_id)
    assert (result.status, result.text, result.source) == ("succeeded", "w1 w2 w3", Source.ENGINE)
    assert (result.prompt_tokens, result.completion_tokens) == (7, 3)
    assert (result.prefill_ms, result.decode_ms, result.finish_reason) == (4, 6, "stop")
    assert future.result(BOUND_S) is JobState.SUCCEEDED
    assert books(database) == (900, 0)
    assert len(desk.flights) == 0


def test_where_there_are_stop_strings_the_engine_has_written_the_text(
    desk: Desk, database: Database
) -> None:
    [job_id] = desk.board("What is a dam?", stop=["END"])
    desk.settle(a_completion(job_id, text="A wall."))
    assert reading.fetch_one(database, job_id).text == "A wall."


def test_jobs_that_joined_get_the_same_answer_for_free(desk: Desk, database: Database) -> None:
    payer, *joined = desk.board("same", "same", "same")
    assert len(desk.flights) == 1
    desk.settle(a_completion(payer, cost_pusd=900))
    results = [reading.fetch_one(database, job_id) for job_id in (payer, *joined)]
    assert {result.text for result in results} == {"w1 w2 w3"}
    assert [result.source for result in results] == [Source.ENGINE, Source.JOINED, Source.JOINED]
    amounts = {row.job_id: row.amount_pusd for row in rows(database, Charge)}
    assert [amounts[job_id] for job_id in (payer, *joined)] == [900, 0, 0]
    assert payer in (results[1].source_detail or "")


def test_when_the_payer_leaves_the_next_one_pays(desk: Desk, database: Database) -> None:
    first, second = desk.board("same", "same")
    _, left = desk.flights.leave(ClaimId(first, 1), JobState.CANCELLED, "cancelled by the caller")
    assert left is not None
    desk.settlements.withdraw(left)
    desk.settle(a_completion(first, cost_pusd=900))
    assert reading.fetch_one(database, first).status is JobState.CANCELLED
    assert reading.fetch_one(database, second).source is Source.ENGINE
    assert [(row.job_id, row.amount_pusd) for row in rows(database, Charge)] == [(second, 900)]
    assert books(database) == (900, 0)


def test_an_answer_that_is_complete_is_stored_in_the_cache(desk: Desk, database: Database) -> None:
    [job_id] = desk.board("What is a dam?")
    desk.settle(a_completion(job_id))
    [entry] = rows(database, CacheEntry)
    assert (entry.question, entry.text) == ("What is a dam?", "w1 w2 w3")


@pytest.mark.parametrize(
    ("ending", "fields"),
    [(Ending.LENGTH, {}), (Ending.STOP, {"cache": False}), (Ending.STOP, {"temperature": 1.0})],
    ids=["cut off", "opted out", "random"],
)
def test_other_answers_are_results_but_not_cached(
    desk: Desk, database: Database, ending: Ending, fields: dict[str, Any]
) -> None:
    [job_id] = desk.board("What is a dam?", **fields)
    desk.settle(a_completion(job_id, ending))
    assert reading.fetch_one(database, job_id).finish_reason == ending.value
    assert rows(database, CacheEntry) == []


def test_an_aborted_completion_is_never_an_answer_and_its_jobs_go_back(
    desk: Desk, database: Database
) -> None:
    ids = desk.board("same", "same")
    futures = [desk.intake.deliver(job_id) for job_id in ids]
    desk.settle(a_completion(ids[0], Ending.ABORT, text="half an ans", cost_pusd=300))
    assert {row.state for row in rows(database, Job)} == {JobState.QUEUED}
    assert {row.attempts for row in rows(database, Job)} == {0}
    assert rows(database, JobResult) == rows(database, Charge) == rows(database, CacheEntry) == []
    assert [type(future.exception(BOUND_S)) for future in futures] == [Requeue, Requeue]
    assert books(database) == (0, 300)


@pytest.mark.parametrize("verdict", [JobState.CANCELLED, JobState.EXPIRED])
def test_an_aborted_job_ends_as_it_was_decided_and_is_not_charged(
    desk: Desk, database: Database, verdict: JobState
) -> None:
    [job_id] = desk.board("What is a dam?")
    assert desk.flights.leave(ClaimId(job_id, 1), verdict, "because") == (job_id, None)
    desk.settle(a_completion(job_id, Ending.ABORT, cost_pusd=300))
    result = reading.fetch_one(database, job_id)
    assert (result.status, result.error, result.charge_usd) == (verdict, "because", None)
    assert books(database) == (0, 300)


def test_an_error_of_the_engine_fails_the_jobs_and_is_waste(desk: Desk, database: Database) -> None:
    ids = desk.board("same", "same")
    desk.settle(a_completion(ids[0], Ending.ERROR, error="it is cursed", cost_pusd=50))
    results = [reading.fetch_one(database, job_id) for job_id in ids]
    assert [(r.status, r.error) for r in results] == [(JobState.FAILED, "it is cursed")] * 2
    assert books(database) == (0, 50)


def test_a_completion_of_a_lost_claim_is_refused_and_its_cost_is_waste(
    desk: Desk, database: Database
) -> None:
    [job_id] = desk.board("What is a dam?")
    future = desk.intake.deliver(job_id)
    lose_workers(database)
    claim_some(database, [job_id], worker_id="another")
    desk.settle(a_completion(job_id, cost_pusd=900))
    assert future.result(BOUND_S) is JobState.RUNNING
    assert rows(database, JobResult) == rows(database, CacheEntry) == []
    assert books(database) == (0, 900)


def test_a_completion_that_nobody_waits_for_is_waste(desk: Desk, database: Database) -> None:
    for _ in range(2):
        desk.settle(a_completion("stranger", cost_pusd=20))
    assert desk.engine.pulse().spent.wasted_pusd == 40
    assert books(database) == (0, 0)  # the next word of this worker, whatever it is, writes it


def test_one_answer_that_cannot_be_decoded_does_not_stop_the_others(
    desk: Desk, database: Database
) -> None:
    bad, good = desk.board("bad", "good")
    desk.settle(a_completion(bad, token_ids=(13,)), a_completion(good))
    assert reading.fetch_one(database, good).status is JobState.SUCCEEDED
    assert claiming.states(database, [bad]) == {bad: JobState.FAILED}


def test_three_hundred_completions_are_settled_each_once(desk: Desk, database: Database) -> None:
    ids = desk.board(*(f"question {number}" for number in range(300)))
    futures: list[Future[JobState]] = [desk.intake.deliver(job_id) for job_id in ids]
    desk.settle(*(a_completion(job_id, cost_pusd=1) for job_id in ids))
    assert {future.result(BOUND_S) for future in futures} == {JobState.SUCCEEDED}
    assert books(database) == (300, 0)


def test_an_outage_of_the_ledger_delays_the_settlement_and_loses_nothing(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock_shared.errors import LedgerUnavailable
    from penstock_shared.ledger import settling

    [job_id] = desk.board("What is a dam?")
    settle: Callable[..., set[str]] = settling.settle
    outages = [LedgerUnavailable("away")] * 3

    def sometimes(*given: Any, **named: Any) -> set[str]:
        if outages:
            raise outages.pop()
        return settle(*given, **named)

    monkeypatch.setattr(settling, "settle", sometimes)
    desk.settle(a_completion(job_id))
    assert reading.fetch_one(database, job_id).status is JobState.SUCCEEDED
    assert len(rows(database, Charge)) == 1
