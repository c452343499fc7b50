"""Entries are counted as used, trimmed and dropped; vectors are counted from an index alone."""

import pytest

from penstock_shared.ledger import cache_entries
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheEntry
from penstock_shared.ledger.settling import Account
from tests.examples import ACCOUNT, NOW, rows, together
from tests.integration.test_cache_entries import store
from tests.rig import statements

LARGE = Account(ACCOUNT.worker_id, "large")


def ids(database: Database) -> dict[str, int]:
    return {row.key: row.id for row in rows(database, CacheEntry)}


def trim(database: Database, capacity: int, *, now_ms: int = NOW, limit: int = 100) -> int:
    return cache_entries.trim(database, tier="small", capacity=capacity, now_ms=now_ms, limit=limit)


def plan(database: Database, statement: str) -> str:
    """How the database finds what the statement asks for."""
    if not database.is_sqlite:
        with database._engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            alone.exec_driver_sql("VACUUM ANALYZE cache_entries")
    with database.read() as connection:
        if not database.is_sqlite:  # a short table is read as a whole, whatever it has
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        return " ".join(str(row) for row in connection.exec_driver_sql(explain + statement))


def test_hits_are_counted_and_the_last_use_is_remembered(database: Database) -> None:
    store(database, "a", "b")
    a, b = ids(database).values()
    cache_entries.touch(database, {a: 2}, NOW + 5)
    cache_entries.touch(database, {b: 1, a: 1}, NOW + 9)
    cache_entries.touch(database, {a: 1}, NOW + 3)  # a word that was held up
    counted = [(row.hits, row.used_ms) for row in rows(database, CacheEntry)]
    assert sorted(counted) == [(1, NOW + 9), (4, NOW + 9)]


def test_nothing_and_an_entry_that_is_gone_are_no_error(database: Database) -> None:
    cache_entries.touch(database, {}, NOW)
    cache_entries.touch(database, {7: 1}, NOW)
    assert rows(database, CacheEntry) == []


def test_workers_that_touch_renew_and_drop_at_once_lose_no_hit(database: Database) -> None:
    keys = [f"{number:02d}" for number in range(40)]
    store(database, *keys)
    known = list(ids(database).values())

    def work(number: int) -> None:
        if number == 0:
            store(database, *keys[::-1], account=LARGE)
        elif number == 1:
            cache_entries.drop(database, tenant="nobody")
            trim(database, 1000)
        else:
            order = known if number % 2 else known[::-1]
            cache_entries.touch(database, dict.fromkeys(order, 1), NOW + number)

    together(6, work)
    assert {row.hits for row in rows(database, CacheEntry)} == {4}


def test_vectors_are_counted_and_named_by_tier_and_encoder(database: Database) -> None:
    store(database, "a", "b")
    store(database, "c", account=LARGE)
    store(database, "d", encoder="another")
    store(database, "e", encoder=None)
    known = ids(database)
    assert cache_entries.vector_count(database, tier="small", encoder="enc") == 2
    assert cache_entries.vector_ids(database, tier="small", encoder="enc") == {
        known["a"],
        known["b"],
    }
    assert cache_entries.vector_ids(database, tier="medium", encoder="enc") == set()


@pytest.mark.parametrize("what", ["count(*)", "id"])
def test_vectors_are_counted_and_named_from_the_index_alone(database: Database, what: str) -> None:
    store(database, *map(str, range(200)), encoder="old")
    store(database, *map(str, range(200, 300)))
    found = plan(
        database, f"SELECT {what} FROM cache_entries WHERE tier = 'small' AND encoder = 'enc'"
    )
    assert "ix_cache_entries_vectors" in found
    assert "COVERING" in found or "Index Only Scan" in found


@pytest.mark.parametrize(
    ("where", "index"),
    [
        ("expires_ms <= 5 ORDER BY expires_ms", "ix_cache_entries_expiry"),
        ("tier = 'small' ORDER BY used_ms", "ix_cache_entries_used"),
    ],
)
def test_what_must_go_is_found_by_an_index(database: Database, where: str, index: str) -> None:
    assert index in plan(database, f"SELECT id FROM cache_entries WHERE {where} LIMIT 5")


def test_what_has_expired_goes_whatever_room_there_is(database: Database) -> None:
    store(database, "old", expires_ms=NOW - 1)
    store(database, "other", expires_ms=NOW, account=LARGE)
    store(database, "alive")
    assert trim(database, 100) == 2
    assert set(ids(database)) == {"alive"}
    assert trim(database, 100) == 0


def test_what_was_used_least_recently_goes_first(database: Database) -> None:
    store(database, *"abcde")
    store(database, "large", account=LARGE)
    known = ids(database)
    for later, key in enumerate("ebd"):
        cache_entries.touch(database, {known[key]: 1}, NOW + 1 + later)
    assert trim(database, 3) == 2
    assert set(ids(database)) == {*"ebd", "large"}


def test_trimming_stops_at_its_limit(database: Database) -> None:
    store(database, "x", "y", expires_ms=NOW)
    store(database, *"abcde")
    assert trim(database, 1, limit=3) == 3
    assert len(ids(database)) == 4
    assert trim(database, 1, limit=3) == 3
    assert trim(database, 1, limit=3) == 0


def test_a_renewed_entry_counts_as_just_used_and_keeps_its_hits(database: Database) -> None:
    store(database, "a", "b")
    known = ids(database)
    cache_entries.touch(database, {known["b"]: 1}, NOW - 1)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE cache_entries SET used_ms = 0")
    store(database, "b")
    assert trim(database, 1) == 1
    [row] = rows(database, CacheEntry)
    assert (row.key, row.hits, row.used_ms) == ("b", 1, NOW)


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ({"tier": "large"}, "ab"),
        ({"tenant": "default"}, ""),
        ({"tenant": "acme"}, "abc"),
        ({"model": "a-model", "tier": "small"}, "c"),
        ({"model": "another"}, "abc"),
        ({"older_than_ms": NOW}, "abc"),
        ({"older_than_ms": NOW + 1, "tier": "small"}, "c"),
        ({"entry_ids": []}, "abc"),
        ({}, ""),
    ],
)
def test_everything_that_is_given_must_apply_to_what_is_dropped(
    database: Database, choice: dict[str, object], left: str
) -> None:
    store(database, "a", "b")
    store(database, "c", account=LARGE)
    assert cache_entries.drop(database, **choice) == 3 - len(left)  # type: ignore[arg-type]
    assert set(ids(database)) == set(left)


def test_named_entries_are_dropped_once_and_unknown_ones_are_no_error(database: Database) -> None:
    store(database, *"abc")
    known = ids(database)
    wanted = [known["a"], known["a"], known["c"], 999]
    assert cache_entries.drop(database, entry_ids=wanted) == 2
    assert cache_entries.drop(database, entry_ids=wanted) == 0
    assert set(ids(database)) == {"b"}


def test_many_entries_go_in_several_commits(database: Database) -> None:
    store(database, *map(str, range(1_100)))
    with statements(database) as seen:
        assert cache_entries.drop(database) == 1_100
    assert sum(statement.startswith("DELETE") for statement in seen) == 3


def test_what_was_used_last_is_listed_first(database: Database) -> None:
    store(database, *"abc")
    store(database, "large", account=LARGE)
    known = ids(database)
    cache_entries.touch(database, {known["b"]: 3}, NOW + 7)
    first, *_ = cache_entries.listed(database)
    assert (first.entry_id, first.hits, first.used_ms) == (known["b"], 3, NOW + 7)
    assert (first.model, first.charge_pusd, first.question) == ("a-model", 1000, "b?")
    assert len(cache_entries.listed(database, limit=2)) == 2
    assert [e.tier for e in cache_entries.listed(database, tier="large")] == ["large"]
    assert cache_entries.listed(database, tenant="acme") == []
