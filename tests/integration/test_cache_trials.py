"""Trials of the cache are written once."""

from typing import Any

from penstock_shared.ledger import cache_trials
from penstock_shared.ledger.cache_trials import Counted, Trial
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheTrial
from tests.examples import NOW, rows
from tests.rig import statements


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


def test_a_trial_is_kept_as_it_was(database: Database) -> None:
    cache_trials.record(database, [a_trial("a", agreed=False, served=True)], NOW)
    [row] = rows(database, CacheTrial)
    assert (row.job_id, row.tier, row.tenant, row.partition) == ("a", "small", "acme", "part")
    assert (row.band, row.entry_id, row.similarity) == ("0.90", 7, 0.91)
    assert (row.agreed, row.served, row.cost_pusd, row.created_ms) == (False, True, 10, NOW)


def test_what_was_committed_before_is_not_written_again(database: Database) -> None:
    cache_trials.record(database, [a_trial("a")], NOW)
    again = [a_trial("b"), a_trial("a", agreed=False), a_trial("b")]
    cache_trials.record(database, again, NOW)
    assert sorted((row.job_id, row.agreed) for row in rows(database, CacheTrial)) == [
        ("a", True),
        ("b", True),
    ]


def test_no_trials_are_no_commit(database: Database) -> None:
    with statements(database) as seen:
        cache_trials.record(database, [], NOW)
    assert seen == []


def test_a_nul_character_in_a_reason_is_no_error(database: Database) -> None:
    cache_trials.record(database, [a_trial("a", reason="differ in \x00")], NOW)
    assert [row.reason for row in rows(database, CacheTrial)] == ["differ in \ufffd"]


def test_a_thousand_trials_are_one_commit(database: Database) -> None:
    with statements(database) as seen:
        cache_trials.record(database, [a_trial(str(n)) for n in range(1_001)], NOW)
    assert len(rows(database, CacheTrial)) == 1_001
    assert len([each for each in seen if each.startswith("INSERT")]) == 3


def test_trials_of_a_tier_are_read_in_order_page_by_page(database: Database) -> None:
    cache_trials.record(database, [a_trial("x", tier="large")], NOW)
    trials = [a_trial(f"job-{n}", band=str(n), agreed=n != 1) for n in range(5)]
    cache_trials.record(database, trials, NOW)
    first = cache_trials.after(database, 0, tier="small", limit=3)
    rest = cache_trials.after(database, first[-1].trial_id, tier="small", limit=3)
    assert [c.band for c in first + rest] == ["0", "1", "2", "3", "4"]
    assert first[1] == Counted(first[1].trial_id, "part", "1", agreed=False)
    assert cache_trials.after(database, rest[-1].trial_id, tier="small", limit=3) == []
