"""The cache's statistics count every answer, trial and entry once, for whom it was."""

from typing import Any

import pytest

from penstock_shared.ledger import cache_stats, cache_trials, settling
from penstock_shared.ledger.cache_stats import Counts
from penstock_shared.ledger.cache_trials import Trial
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Account, NewEntry
from penstock_shared.words import Source
from tests.examples import ACCOUNT, NOW, accept_some, an_answer, claim_some, succeeded

_SAVED = {
    Source.EXACT: 100,
    Source.SEMANTIC: 50,
    Source.JOINED: 7,
    Source.ENGINE: 0,
    Source.ENCODER: 0,
}


def answer(
    database: Database, *sources: Source, tenant: str = "acme", tier: str = "small", **changes: Any
) -> list[str]:
    """Jobs that were answered from these sources."""
    held = claim_some(database, accept_some(database, len(sources), tenant=tenant, tier=tier))
    settlements = [
        succeeded(
            claim, answer=an_answer(source=source, saved_pusd=_SAVED[source])._replace(**changes)
        )
        for claim, source in zip(held, sources, strict=True)
    ]
    settling.settle(database, Account(ACCOUNT.worker_id, tier), settlements, NOW)
    return [claim.job_id for claim in held]


def compare(database: Database, *outcomes: tuple[bool, bool], tenant: str = "acme") -> None:
    """Trials with these (agreed, served)."""
    trials = [
        Trial(f"{tenant}-{n}", "small", tenant, "part", "0.9", 7, 0.9, "why", agreed, served, 5)
        for n, (agreed, served) in enumerate(outcomes)
    ]
    cache_trials.record(database, trials, NOW)


def counts(database: Database, **choice: str) -> dict[tuple[str, str], Counts]:
    return {(s.tenant, s.tier): s.counts for s in cache_stats.standings(database, **choice)}


def test_a_new_ledger_has_no_statistics(database: Database) -> None:
    assert cache_stats.standings(database) == []
    total = cache_stats.total([])
    assert total == Counts()
    assert (total.hit_rate, total.false_hit_rate, total.false_hit_bound) == (None, None, None)


def test_answers_are_counted_by_where_they_came_from(database: Database) -> None:
    sources = [Source.ENGINE] * 4 + [Source.EXACT] * 3 + [Source.SEMANTIC] * 2 + [Source.JOINED]
    answer(database, *sources)
    found = counts(database)["acme", "small"]
    assert (found.answered, found.exact, found.semantic, found.joined) == (10, 3, 2, 1)
    assert (found.hits, found.hit_rate, found.saved_pusd) == (6, 0.6, 3 * 100 + 2 * 50 + 7)


def test_jobs_without_an_answer_count_nowhere(database: Database) -> None:
    claim_some(database, accept_some(database, 3))
    assert cache_stats.standings(database) == []


def test_near_misses_are_counted(database: Database) -> None:
    answer(database, Source.ENGINE, Source.ENGINE, near_miss="entry 7: differ in Lyon, Paris")
    answer(database, Source.ENGINE)
    assert counts(database)["acme", "small"].near_misses == 2


def test_only_what_a_caller_got_can_be_a_false_hit(database: Database) -> None:
    compare(database, (True, True), (False, True), (False, False), (False, False), (True, False))
    found = counts(database)["acme", "small"]
    assert (found.compared, found.differed) == (5, 3)
    assert (found.served_compared, found.served_differed) == (2, 1)
    assert found.false_hit_rate == 0.5
    assert found.false_hit_bound == pytest.approx(0.9747, abs=1e-4)
    assert found.exploration_pusd == 25


def test_comparisons_that_nobody_was_served_are_no_evidence(database: Database) -> None:
    compare(database, (True, False), (True, False))
    found = counts(database)["acme", "small"]
    assert (found.compared, found.false_hit_rate, found.false_hit_bound) == (2, None, None)


def test_entries_are_measured_in_bytes(database: Database) -> None:
    held = claim_some(database, accept_some(database, 2, tenant="acme"))
    settlements = [
        succeeded(
            claim,
            answer=an_answer("đập"),  # 6 bytes
            entry=NewEntry(name, "part", "là gì?", encoder, vector, NOW + 1, "a-model"),  # 8
        )
        for claim, name, encoder, vector in zip(
            held, "ab", ("enc", None), (b"\xff\0" * 10, None), strict=True
        )
    ]
    settling.settle(database, ACCOUNT, settlements, NOW)
    found = counts(database)["acme", "small"]
    expected = len("đập".encode()) * 2 + len("là gì?".encode()) * 2 + 20
    assert (found.entries, found.stored_bytes) == (2, expected)


def test_tenants_and_tiers_stand_apart_and_can_be_chosen(database: Database) -> None:
    answer(database, Source.EXACT, tenant="acme")
    answer(database, Source.EXACT, tenant="acme", tier="large")
    answer(database, Source.ENGINE, near_miss="entry 1: why", tenant="umbrella")
    compare(database, (True, True), tenant="umbrella")
    assert set(counts(database)) == {("acme", "small"), ("acme", "large"), ("umbrella", "small")}
    assert set(counts(database, tenant="acme")) == {("acme", "small"), ("acme", "large")}
    assert set(counts(database, tier="small")) == {("acme", "small"), ("umbrella", "small")}
    assert set(counts(database, tenant="umbrella", tier="large")) == set()
    total = cache_stats.total(cache_stats.standings(database))
    assert (total.answered, total.exact, total.near_misses, total.compared) == (3, 2, 1, 1)


def test_hits_and_near_misses_are_found_by_indexes_of_their_own(database: Database) -> None:
    answer(database, *[Source.ENGINE] * 300, Source.EXACT)
    if not database.is_sqlite:
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE")
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "

    def everyone(*_: object) -> list[Any]:
        return []

    for query, index in (
        (cache_stats._hits(everyone), "ix_results_hits"),
        (cache_stats._near(everyone), "ix_results_near_misses"),
    ):
        with database.read() as connection:
            compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
            found = connection.exec_driver_sql(explain + str(compiled)).all()
        assert index in " ".join(map(str, found))


def test_embeddings_are_neither_hits_nor_misses(database: Database) -> None:
    answer(database, Source.ENGINE, Source.EXACT)
    before = counts(database)
    answer(database, Source.ENCODER, Source.ENCODER)
    assert counts(database) == before
