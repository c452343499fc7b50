"""Trials of the cache are written once, and what they cost is booked with them."""

from typing import Any

import pytest

from penstock_shared.ledger import cache_trials, worker_time
from penstock_shared.ledger.cache_trials import Counted, Trial
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheTrial, WorkerTime
from penstock_shared.ledger.worker_time import Spent
from tests.examples import ACCOUNT, NOW, WORKER, rows


@pytest.fixture(autouse=True)
def _books(database: Database) -> None:
    worker_time.open_books(
        database, worker_id=WORKER, tier="small", host="h", price_per_hour_pusd=1, started_ms=NOW
    )


def a_trial(job_id: str, **changes: Any) -> Trial:
    trial = Trial(
        job_id=job_id,
        tier="small",
        tenant="acme",
        partition="part",
        band="0.90",
        entry_id=7,
        similarity=0.91,
        reason="differ in a word",
        agreed=True,
        served=False,
        cost_pusd=10,
    )
    return trial._replace(**changes)


def waste(database: Database) -> int:
    [row] = rows(database, WorkerTime)
    return int(row.waste_pusd)


def test_a_trial_is_kept_as_it_was(database: Database) -> None:
    cache_trials.record(database, ACCOUNT, [a_trial("a", agreed=False, served=True)], NOW)
    [row] = rows(database, CacheTrial)
    assert (row.job_id, row.tier, row.tenant, row.partition) == ("a", "small", "acme", "part")
    assert (row.band, row.entry_id, row.similarity) == ("0.90", 7, 0.91)
    assert (row.agreed, row.served, row.cost_pusd, row.created_ms) == (False, True, 10, NOW)


def test_what_trials_cost_is_waste_of_the_worker(database: Database) -> None:
    spent = Spent(paid_pusd=100, idle_pusd=60)
    trials = [a_trial("a", cost_pusd=30), a_trial("b", cost_pusd=0), a_trial("c", cost_pusd=10)]
    cache_trials.record(database, ACCOUNT, trials, NOW, spent=spent)
    [row] = rows(database, WorkerTime)
    assert (row.paid_pusd, row.idle_pusd, row.waste_pusd, row.charged_pusd) == (100, 60, 40, 0)


def test_what_was_committed_before_is_not_booked_again(database: Database) -> None:
    cache_trials.record(database, ACCOUNT, [a_trial("a")], NOW)
    again = [a_trial("b"), a_trial("a", agreed=False), a_trial("b")]
    cache_trials.record(database, ACCOUNT, again, NOW)
    assert sorted((row.job_id, row.agreed) for row in rows(database, CacheTrial)) == [
        ("a", True),
        ("b", True),
    ]
    assert waste(database) == 20


def test_no_trials_are_no_commit(database: Database) -> None:
    cache_trials.record(database, ACCOUNT, [], NOW)
    assert waste(database) == 0


def test_a_nul_character_in_a_reason_is_no_error(database: Database) -> None:
    cache_trials.record(database, ACCOUNT, [a_trial("a", reason="differ in \x00")], NOW)
    assert [row.reason for row in rows(database, CacheTrial)] == ["differ in \ufffd"]


def test_a_thousand_trials_are_one_commit(database: Database) -> None:
    cache_trials.record(database, ACCOUNT, [a_trial(str(n)) for n in range(1_001)], NOW)
    assert waste(database) == 10_010


def test_trials_of_a_tier_are_read_in_order_page_by_page(database: Database) -> None:
    cache_trials.record(database, ACCOUNT, [a_trial("x", tier="large")], NOW)
    trials = [a_trial(f"job-{n}", band=str(n), agreed=n != 1) for n in range(5)]
    cache_trials.record(database, ACCOUNT, trials, NOW)
    first = cache_trials.after(database, 0, tier="small", limit=3)
    rest = cache_trials.after(database, first[-1].trial_id, tier="small", limit=3)
    assert [c.band for c in first + rest] == ["0", "1", "2", "3", "4"]
    assert first[1] == Counted(first[1].trial_id, "part", "1", agreed=False)
    assert cache_trials.after(database, rest[-1].trial_id, tier="small", limit=3) == []
