"""Who sweeps also keeps the cache within its capacity."""

import pytest

from penstock_shared.ledger import cache_entries
from penstock_shared.ledger.schema import CacheEntry
from penstock_shared.ledger.settling import Account
from penstock_workers import sweeper as sweeper_module
from tests.examples import ACCOUNT, NOW, rows
from tests.integration.sweeper.conftest import CAPACITY, Yard
from tests.integration.test_cache_entries import store

LATER = NOW + 10_000_000
MINUTE = 60_000


def keys(yard: Yard) -> set[str]:
    return {row.key for row in rows(yard.database, CacheEntry)}


def test_the_least_recently_used_beyond_the_capacity_of_their_tier_go(yard: Yard) -> None:
    store(yard.database, *"abcde", expires_ms=LATER)
    store(yard.database, *"xyz", account=Account(ACCOUNT.worker_id, "large"), expires_ms=LATER)
    known = {row.key: row.id for row in rows(yard.database, CacheEntry)}
    cache_entries.touch(
        yard.database, dict.fromkeys((known["a"], known["d"], known["e"]), 1), NOW + 1
    )
    yard.sweep(NOW + 2)
    assert keys(yard) == {*"ade", *"xyz"}
    assert len("ade") == CAPACITY


def test_what_has_expired_goes(yard: Yard) -> None:
    store(yard.database, "old", expires_ms=NOW + 1)
    store(yard.database, "new", expires_ms=LATER)
    yard.sweep(NOW + 1)
    assert keys(yard) == {"new"}


def test_the_cache_is_trimmed_once_a_minute(yard: Yard) -> None:
    yard.sweep(NOW)
    store(yard.database, "old", expires_ms=NOW + 1)
    yard.sweep(NOW + MINUTE - 1)
    assert keys(yard) == {"old"}
    yard.sweep(NOW + MINUTE)
    assert keys(yard) == set()


def test_only_who_has_the_duty_trims(yard: Yard) -> None:
    yard.sweep(NOW)
    store(yard.database, "old", expires_ms=NOW + 1)
    yard.clock.now = NOW + 2
    yard.another("two").sweep()
    assert keys(yard) == {"old"}


def test_more_than_a_page_goes_at_once(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper_module, "_PAGE", 2)
    store(yard.database, *"abcdefghi", expires_ms=LATER)
    yard.sweep(NOW)
    assert len(keys(yard)) == CAPACITY
