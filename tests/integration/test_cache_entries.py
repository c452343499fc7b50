"""The cache's entries in the ledger: alive ones only, vectors page by page."""

import pytest

from penstock_shared.ledger import cache_entries, settling
from penstock_shared.ledger.cache_entries import EntryVector
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Account, NewEntry
from tests.examples import ACCOUNT, NOW, accept_some, an_answer, claim_some, succeeded


def store(
    database: Database,
    *keys: str,
    encoder: str | None = "enc",
    account: Account = ACCOUNT,
    expires_ms: int = NOW + 1000,
) -> None:
    held = claim_some(database, accept_some(database, len(keys)))
    settlements = [
        succeeded(
            claim,
            answer=an_answer(f"text of {key}"),
            entry=NewEntry(
                key,
                "part",
                f"{key}?",
                encoder,
                key.encode() if encoder else None,
                expires_ms,
                "a-model",
            ),
        )
        for claim, key in zip(held, keys, strict=True)
    ]
    settling.settle(database, account, settlements, NOW)


def vectors(database: Database, after: int = 0, limit: int = 10) -> list[EntryVector]:
    return cache_entries.vectors_after(database, after, tier="small", encoder="enc", limit=limit)


def test_entries_are_found_by_key_with_all_that_an_answer_needs(database: Database) -> None:
    store(database, "a", "b", "c")
    found = cache_entries.by_key(database, ["a", "c", "unknown"], NOW)
    assert set(found) == {"a", "c"}
    entry = found["a"]
    assert entry == (entry.entry_id, "a", "part", "a?", "text of a", "stop", 7, 5, 1000)
    assert cache_entries.by_id(database, [entry.entry_id], NOW) == {entry.entry_id: entry}


@pytest.mark.parametrize(("later_ms", "found"), [(999, 1), (1000, 0)])
def test_an_entry_is_found_until_it_expires(database: Database, later_ms: int, found: int) -> None:
    store(database, "a")
    now = NOW + later_ms
    entries = cache_entries.by_key(database, ["a"], now)
    assert len(entries) == found
    assert len(cache_entries.by_id(database, list(range(10)), now)) == found


def test_vectors_come_in_order_page_by_page(database: Database) -> None:
    store(database, *"abcde")
    first = vectors(database, limit=3)
    second = vectors(database, after=first[-1].entry_id, limit=3)
    assert [v.vector for v in first + second] == [b"a", b"b", b"c", b"d", b"e"]
    assert vectors(database, after=second[-1].entry_id) == []


def test_vectors_of_other_tiers_and_encoders_are_left_out(database: Database) -> None:
    store(database, "mine")
    store(database, "large", account=Account(ACCOUNT.worker_id, "large"))
    store(database, "old", encoder="an older encoder")
    store(database, "none", encoder=None)
    assert [v.vector for v in vectors(database)] == [b"mine"]


def test_asking_for_nothing_finds_nothing(database: Database) -> None:
    assert cache_entries.by_key(database, [], NOW) == {}
    assert cache_entries.by_id(database, [], NOW) == {}
