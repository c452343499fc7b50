"""Lines without an answer are retried: each once, with their documents, in batches that may run."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock_shared.errors import BatchStopped
from penstock_shared.ledger import claiming, losing, settling
from penstock_shared.ledger.batches import documents, lines, records
from penstock_shared.ledger.batches.lines import Counts
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Settlement
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState, JobState
from tests.batches import BATCH, a_document, numbers, plain_batch, take
from tests.examples import ACCOUNT, NOW, WORKER, open_books, succeeded


@pytest.fixture(autouse=True)
def _books(database: Database) -> None:
    open_books(database)


def fail(database: Database, claims: list[Claim]) -> None:
    failures = [Settlement(claim, JobState.FAILED, 0, error="no") for claim in claims]
    settling.settle(database, ACCOUNT, failures, NOW)


def before_each_page(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Let something happen while lines are retried."""
    find = lines._failed

    def find_then(*args: Any, **more: Any) -> Any:
        meanwhile()
        return find(*args, **more)

    monkeypatch.setattr(lines, "_failed", find_then)


def test_failed_lines_have_all_their_attempts_again(database: Database) -> None:
    batch = plain_batch(database, 3)
    one, two, three = take(database)
    settling.settle(database, ACCOUNT, [succeeded(one)], NOW)
    fail(database, [two])
    losing.lose(database, [three], reason="x", together=False, now_ms=NOW, max_attempts=1)
    records.complete(database, NOW)
    assert lines.retry_failed(database, batch.id) == 2
    assert records.get(database, batch.id).state is BatchState.RUNNING
    again = take(database)
    assert numbers(again) == [2, 3]
    settling.settle(database, ACCOUNT, [succeeded(claim) for claim in again], NOW)
    assert lines.count(database, batch.id) == Counts(succeeded=3)
    assert lines.retry_failed(database, batch.id) == 0


def test_a_line_that_fails_again_meanwhile_is_not_retried_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_PAGE", 2)
    batch = plain_batch(database, 5)
    fail(database, take(database))
    pages: list[None] = []

    def fail_again() -> None:
        fail(database, take(database))
        pages.append(None)
        assert len(pages) < 9

    before_each_page(monkeypatch, fail_again)
    assert lines.retry_failed(database, batch.id) == 5


def test_a_document_waits_for_parts_that_are_retried_whatever_sweeps_meanwhile(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweep() -> None:
        documents.promote(database, Settings(), NOW)

    a_document(database)
    fail(database, take(database))
    sweep()
    assert lines.count(database, BATCH) == Counts(failed=3, invalid=1)
    before_each_page(monkeypatch, sweep)
    assert lines.retry_failed(database, BATCH) == 4
    sweep()
    assert lines.count(database, BATCH) == Counts(queued=3, waiting=1)


def test_a_batch_that_an_operator_paused_stays_paused(database: Database) -> None:
    batch = plain_batch(database, 2)
    fail(database, take(database, 1))
    records.pause(database, batch.id, "lunch")
    assert lines.retry_failed(database, batch.id) == 1
    found = records.get(database, batch.id)
    assert (found.state, found.stopped_by) == (BatchState.PAUSED, "lunch")
    assert take(database) == []
    records.resume(database, batch.id)
    assert numbers(take(database)) == [1, 2]


def test_a_batch_that_was_cancelled_is_not_retried(database: Database) -> None:
    batch = plain_batch(database, 2)
    fail(database, take(database, 1))
    records.cancel(database, batch.id, NOW)
    with pytest.raises(BatchStopped, match="another OUT"):
        lines.retry_failed(database, batch.id)
    assert records.get(database, batch.id).state is BatchState.CANCELLED
    assert lines.count(database, batch.id) == Counts(failed=1, cancelled=1)


def test_a_retried_line_is_not_cancelled_because_it_once_should_have_been(
    database: Database,
) -> None:
    batch = plain_batch(database, 1)
    claims = take(database)
    claiming.cancel(database, [claims[0].job_id], NOW)
    fail(database, claims)
    assert lines.retry_failed(database, batch.id) == 1
    assert numbers(take(database)) == [1]
    assert claiming.to_cancel(database, WORKER) == []
