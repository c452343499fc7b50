"""What the ledger says of a batch at a glance, and what estimates are made of."""

from typing import Any

from penstock_shared.ledger import settling, worker_time
from penstock_shared.ledger.batches import measuring, overview
from penstock_shared.ledger.batches.loading import Refusal
from penstock_shared.ledger.batches.measuring import Measured
from penstock_shared.ledger.batches.overview import Reason, TierStanding
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Settlement
from penstock_shared.words import JobState, Source
from tests.batches import BATCH, a_loaded_batch, plain_batch, take
from tests.examples import ACCOUNT, NOW, WORKER, an_answer, succeeded


def a_worker(database: Database, worker_id: str = WORKER, **changes: Any) -> None:
    given = {"tier": "small", "host": "here", "price_per_hour_pusd": 3_600, "started_ms": NOW}
    worker_time.open_books(database, worker_id=worker_id, **{**given, **changes})


def settle(database: Database, *ends: Settlement, now_ms: int = NOW) -> None:
    settling.settle(database, ACCOUNT, list(ends), now_ms)


def failed(claim: Claim, error: str) -> Settlement:
    return Settlement(claim, JobState.FAILED, 5, error=error)


def test_tiers_stand_as_their_lines_do(database: Database) -> None:
    refusal = Refusal(6, "name-6", "url_mismatch", "another url", "url")
    a_loaded_batch(database, range(1, 6), refusals=[refusal])
    first, second, third, _ = take(database, limit=4)
    cached = succeeded(second, 0, answer=an_answer(source=Source.EXACT))
    settle(database, succeeded(first, 900), cached, failed(third, "too long"))
    assert overview.by_tier(database, BATCH) == [TierStanding("small", 1, 1, 2, 1, 1, 14, 10, 900)]
    assert overview.by_tier(database, "another") == []


def test_reasons_are_counted_and_the_most_frequent_come_first(database: Database) -> None:
    refusal = Refusal(5, None, "invalid_json_line", "this is no JSON", None)
    a_loaded_batch(database, range(1, 5), refusals=[refusal])
    claims = take(database)
    settle(database, *(failed(claim, "too long") for claim in claims[:3]))
    assert overview.reasons(database, BATCH) == [
        Reason("failed", "too long", 3, 1),
        Reason("invalid", "invalid_json_line", 1, 5),
    ]
    assert overview.reasons(database, BATCH, limit=1) == [Reason("failed", "too long", 3, 1)]


def test_tiers_for_which_lines_wait_are_those_with_queued_ones(database: Database) -> None:
    plain_batch(database, 2)
    assert overview.waiting_tiers(database, BATCH, ["small", "large"]) == ["small"]
    assert overview.waiting_tiers(database, BATCH, ["large"]) == []
    take(database)
    assert overview.waiting_tiers(database, BATCH, ["small"]) == []


def test_ends_are_counted_since_a_moment(database: Database) -> None:
    plain_batch(database, 3)
    first, second, _ = take(database)
    settle(database, succeeded(first), now_ms=NOW + 10)
    settle(database, succeeded(second), now_ms=NOW + 20)
    assert [overview.ended_since(database, BATCH, NOW + ms) for ms in (10, 11, 21)] == [2, 1, 0]


def test_measurements_are_what_the_engine_of_a_tier_did_last(database: Database) -> None:
    a_worker(database)
    plain_batch(database, 3)
    first, second, third = take(database)
    settle(database, succeeded(first, 700), now_ms=NOW)
    settle(database, succeeded(second, 800), now_ms=NOW + 1)
    settle(database, succeeded(third, 0, answer=an_answer(source=Source.EXACT)))
    found = measuring.recent(database, ["small", "large"])
    assert found["small"] == [
        Measured(800, 3_600, 7, 5, 256, 20, 10),
        Measured(700, 3_600, 7, 5, 256, 20, 10),
    ]
    assert found["large"] == []


def test_live_workers_are_those_that_were_heard_of_and_have_not_ended(database: Database) -> None:
    a_worker(database, "small-1", started_ms=NOW - 1)
    a_worker(database, "small-2")
    a_worker(database, "large-1", tier="large")
    a_worker(database, "large-2", tier="large")
    worker_time.close_books(database, "large-2", worker_time.Spent(0, 0), NOW, died=False)
    assert measuring.live_workers(database, seen_since_ms=NOW) == {"small": 1, "large": 1}
    assert measuring.live_workers(database, seen_since_ms=NOW - 1) == {"small": 2, "large": 1}
