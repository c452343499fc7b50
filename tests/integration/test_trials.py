"""What the cache would say beside what the engine says: bands close, open, and cost nobody."""

from random import Random
from typing import Any

import pytest

from penstock_shared.cache_settings import CacheSettings
from penstock_shared.ledger import reading, worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheEntry, CacheTrial, Charge, JobResult
from penstock_shared.words import JobState, Source
from penstock_workers.cache import cache as cache_module
from penstock_workers.cache.cache import Cache
from penstock_workers.engine.protocol import Ending
from tests.examples import (
    IDENTITY,
    NOW,
    WORKER,
    a_claim,
    a_completion,
    claim_some,
    lose_workers,
    rows,
)
from tests.integration.plane import PlaneEncoder, verify
from tests.rig import BOUND_S, Rig, accept

SAME, OTHER = (1, 2, 3), (4, 5, 6)


class Bench:
    """A rig whose engine answers at once."""

    def __init__(self, database: Database, **settings: Any) -> None:
        self.database = database
        self.rig = Rig(database, encoder=PlaneEncoder(), random=Random(7), **settings)

    def ask(self, *prompts: str, tokens: tuple[int, ...] = SAME, **fields: Any) -> list[Any]:
        """Ask, let the engine answer whatever boarded with these tokens, and compare."""
        before = len(self.rig.engine.submitted)
        job_ids = accept(self.database, *prompts, **fields)
        self.rig.admit(*job_ids)
        boarded = self.rig.in_engine[before:]
        self.rig.settle(*(a_completion(i, token_ids=tokens) for i in boarded if i in job_ids))
        return [reading.fetch_one(self.database, job_id) for job_id in job_ids]

    def end_trials(self, tokens: tuple[int, ...] = SAME, **changes: Any) -> None:
        """Let the engine end all shadows, and compare."""
        ended = [a_completion(i, token_ids=tokens, **changes) for i in self.shadows]
        self.rig.settle(*ended)
        self.rig.compare()

    @property
    def shadows(self) -> list[str]:
        return list(self.rig.shadows._inside)

    @property
    def trials(self) -> list[Any]:
        return rows(self.database, CacheTrial)

    @property
    def books(self) -> tuple[int, int]:
        worker_time.keep_books(self.database, WORKER, self.rig.engine.pulse().spent, NOW)
        [found] = worker_time.read_books(self.database)
        return found.charged_pusd, found.waste_pusd


@pytest.fixture(autouse=True)
def _believing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "verify", verify)


@pytest.fixture
def bench(database: Database) -> Bench:
    return a_bench(database)


def a_bench(database: Database, **settings: Any) -> Bench:
    bench = Bench(database, **{"explore_share": 1, **settings})
    bench.ask("A", "B", "C")
    bench.rig.cache.refresh()
    return bench


def test_a_served_hit_is_settled_at_once_and_answered_by_the_engine_as_well(bench: Bench) -> None:
    [result] = bench.ask("A at 0.85")
    assert (result.source, result.charge_usd, result.text) == (Source.SEMANTIC, 0, "w1 w2 w3")
    [shadow] = bench.shadows
    assert shadow == f"trial-{result.job_id}"
    assert bench.rig.in_engine[-1] == shadow
    assert len(bench.rig.held) == len(bench.rig.flights) == 0
    bench.end_trials()
    [trial] = bench.trials
    assert (trial.job_id, trial.band, trial.agreed, trial.served) == (
        result.job_id, "0.80", True, True,
    )  # fmt: skip
    assert trial.similarity == pytest.approx(0.85)
    assert "so it was said" in trial.reason


def test_what_a_trial_costs_is_waste_and_no_tenants_charge(bench: Bench) -> None:
    charged, wasted = bench.books
    bench.ask("A at 0.85")
    bench.end_trials(cost_pusd=77)
    assert bench.books == (charged, wasted + 77)
    assert {row.amount_pusd for row in rows(bench.database, Charge)} == {0, 900}
    assert [trial.cost_pusd for trial in bench.trials] == [77]


def test_what_the_engine_says_to_a_trial_is_stored_nowhere(bench: Bench) -> None:
    entries = rows(bench.database, CacheEntry)
    results = len(rows(bench.database, JobResult))
    bench.ask("A at 0.85")
    bench.end_trials(OTHER)
    assert [row.text for row in rows(bench.database, CacheEntry)] == [row.text for row in entries]
    assert len(rows(bench.database, JobResult)) == results + 1


def test_one_wrong_answer_closes_a_band_and_leaves_the_others_open(bench: Bench) -> None:
    bench.ask("A at 0.85")
    bench.end_trials(OTHER)
    [held_back] = bench.ask("B at 0.85")
    assert held_back.source is Source.ENGINE
    assert [hit.source for hit in bench.ask("B at 0.92", "C, exactly")[:1]] == [Source.SEMANTIC]


def test_what_was_held_back_is_tested_for_free_and_says_why(bench: Bench) -> None:
    [result] = bench.ask("A at 0.75")
    assert (result.source, bench.shadows) == (Source.ENGINE, [])
    bench.rig.compare()
    [trial] = bench.trials
    assert (trial.band, trial.agreed, trial.served, trial.cost_pusd) == ("0.70", True, False, 0)
    [row] = rows(bench.database, JobResult, JobResult.job_id == result.job_id)
    assert row.near_miss == (
        f"entry {trial.entry_id} (cosine 0.75): held back: 0.70-0.80 is not proven yet"
        " (0 of 0 differed)"
    )


def test_a_band_opens_after_enough_agreement_and_stays_open_after_a_restart(
    database: Database,
) -> None:
    bench = a_bench(database, max_false_hit_rate=0.3)
    bench.ask(*(f"Q{number}" for number in range(10)))
    bench.rig.cache.refresh()
    for number in range(9):
        [result] = bench.ask(f"Q{number} at 0.75")
        assert result.source is Source.ENGINE
        bench.rig.compare()
    [result] = bench.ask("Q9 at 0.75")
    assert result.source is Source.SEMANTIC
    again = Cache(
        database,
        CacheSettings(max_false_hit_rate=0.3),
        tier="small",
        identity=IDENTITY,
        encoder=bench.rig.cache._encoder,
        now_ms=bench.rig.clock,
    )
    again.refresh()
    [lookup] = again.lookup([a_claim("Q9 at 0.76")])
    assert lookup.hit is not None
    assert lookup.hit.band == "0.70"


def test_evidence_is_counted_once_however_often_it_is_read(bench: Bench) -> None:
    bench.ask("A at 0.75", "B at 0.75", tokens=OTHER)
    bench.rig.compare()
    bench.rig.cache.refresh()
    bench.rig.cache.refresh()
    [result] = bench.ask("C at 0.75")
    [row] = rows(bench.database, JobResult, JobResult.job_id == result.job_id)
    assert "(2 of 2 differed)" in row.near_miss


def test_only_a_share_of_what_is_served_is_tried(database: Database) -> None:
    bench = a_bench(database, explore_share=0.01, max_num_seqs=1024)
    bench.ask(*(f"A at 0.8{number:03}" for number in range(40)))
    assert 4 <= len(bench.shadows) <= 16, "a quarter of the first, of which little is known"


def test_without_a_share_nothing_that_is_served_is_tried(database: Database) -> None:
    bench = a_bench(database, explore_share=0)
    [result] = bench.ask("A at 0.85")
    assert (result.source, bench.shadows) == (Source.SEMANTIC, [])


def test_exact_hits_and_answers_drawn_at_random_are_not_tried(database: Database) -> None:
    bench = a_bench(database, sampled_tenants=("default",))
    bench.ask("A")
    assert bench.shadows == []
    bench.ask("A", temperature=0.5)
    bench.rig.cache.refresh()
    hit, held_back = bench.ask("A at 0.85", "A at 0.75", temperature=0.5)
    assert (hit.source, held_back.source) == (Source.SEMANTIC, Source.ENGINE)
    bench.rig.compare()
    assert (bench.shadows, bench.trials) == ([], [])


@pytest.mark.parametrize("ending", [Ending.ABORT, Ending.ERROR])
def test_a_trial_that_came_to_nothing_is_no_evidence_and_its_cost_is_waste(
    bench: Bench, ending: Ending
) -> None:
    charged, wasted = bench.books
    [result] = bench.ask("A at 0.85")
    bench.rig.shadows.close()
    assert bench.rig.engine.aborted == [f"trial-{result.job_id}"]
    bench.end_trials(ending=ending, cost_pusd=40)
    assert (bench.trials, bench.books) == ([], (charged, wasted + 40))
    assert len(bench.rig.shadows._inside) == 0


def test_a_shadow_leaves_when_jobs_need_its_seat(database: Database) -> None:
    bench = a_bench(database, max_num_seqs=2)
    [hit] = bench.ask("A at 0.85")
    jobs = accept(database, "X", "Y")
    futures = bench.rig.admit(*jobs)
    assert bench.rig.engine.aborted == [f"trial-{hit.job_id}"]
    bench.rig.settle(*(a_completion(job_id) for job_id in jobs))
    assert [future.result(BOUND_S) for future in futures] == [JobState.SUCCEEDED] * 2


def test_a_trial_is_never_a_flight_that_others_join(bench: Bench) -> None:
    bench.ask("A at 0.85")
    bench.rig.cache._trust.learn(
        [a_difference(lookup) for lookup in bench.rig.cache.lookup([a_claim("A at 0.85")])]
    )
    [second] = accept(bench.database, "A at 0.85")
    bench.rig.admit(second)
    assert bench.rig.in_engine[-1] == second


def a_difference(lookup: Any) -> Any:
    class Difference:
        partition, band, agreed = lookup.key.partition, "0.80", False

    return Difference


def test_beside_a_suspect_nothing_is_tried(bench: Bench) -> None:
    suspects = accept(bench.database, "S1", "S2")
    bench.ask("A at 0.85")
    shadow = bench.shadows
    bench.rig.unfinished.lose(claim_some(bench.database, suspects), "it died", together=True)
    bench.rig.admit(*suspects)
    assert bench.rig.engine.aborted == shadow


def test_a_hit_says_what_it_saved(bench: Bench) -> None:
    [result] = bench.ask("A at 0.85")
    [row] = rows(bench.database, JobResult, JobResult.job_id == result.job_id)
    assert (row.saved_pusd, row.near_miss) == (900, None)


def test_a_neighbour_that_was_refused_is_noted_if_it_was_near(bench: Bench) -> None:
    bench.ask("wrong")
    bench.rig.cache.refresh()
    near, far = bench.ask("wrong at 0.93", "wrong at 0.75")
    notes = {
        row.job_id: row.near_miss
        for row in rows(bench.database, JobResult)
        if row.job_id in {near.job_id, far.job_id}
    }
    assert "(cosine 0.93): differ in wrong" in notes[near.job_id]
    assert notes[far.job_id] is None


def test_a_trial_of_a_claim_that_was_lost_meanwhile_harms_nobody(bench: Bench) -> None:
    [job_id] = accept(bench.database, "A at 0.75")
    bench.rig.admit(job_id)
    lose_workers(bench.database)
    bench.rig.settle(a_completion(job_id, cost_pusd=5))
    bench.rig.compare()
    assert [trial.job_id for trial in bench.trials] == [job_id]


def test_what_cannot_be_compared_is_waste_and_breaks_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    charged, wasted = bench.books
    bench.ask("A at 0.85")
    monkeypatch.setattr(bench.rig.cache, "likeness", lambda *_: 1 / 0)
    bench.end_trials((3, 2, 1, 1), cost_pusd=30)
    assert (bench.trials, bench.books) == ([], (charged, wasted + 30))
    assert "w1" not in caplog.text
