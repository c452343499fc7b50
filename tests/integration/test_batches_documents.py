"""Documents: a line that sums up others becomes a job when they have ended."""

from decimal import Decimal

import pytest
from sqlalchemy import update

from penstock_shared.budgets import Budget
from penstock_shared.ledger import settling
from penstock_shared.ledger.batches import documents, lines, records
from penstock_shared.ledger.batches.lines import Counts
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import BatchDocument
from penstock_shared.ledger.settling import Settlement
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState, JobState
from tests.batches import BATCH, a_document, take
from tests.examples import ACCOUNT, NOW, an_answer, open_books, succeeded

SETTINGS = Settings()


@pytest.fixture(autouse=True)
def _books(database: Database) -> None:
    open_books(database)


def answer_all(database: Database) -> None:
    for claim in take(database):
        answer = an_answer(f"answer to {claim.request.question}")
        settling.settle(database, ACCOUNT, [succeeded(claim, answer=answer)], NOW)


def test_it_waits_for_its_parts_and_is_made_of_their_answers(database: Database) -> None:
    a_document(database)
    assert lines.count(database, BATCH) == Counts(queued=3, waiting=1)
    assert documents.promote(database, SETTINGS, NOW) == 0
    answer_all(database)
    assert records.complete(database, NOW) == []
    assert documents.promote(database, SETTINGS, NOW) == 1
    assert documents.promote(database, SETTINGS, NOW) == 0
    [claim] = take(database)
    assert claim.request.question == (
        "Sum up a.md: answer to part 1; answer to part 2; answer to part 3"
    )
    assert (claim.request.workflow, claim.request.tier) == ("w", "small")
    settling.settle(database, ACCOUNT, [succeeded(claim)], NOW)
    assert records.complete(database, NOW) == [BATCH]
    [last] = lines.results(database, BATCH, [4])
    assert (last.custom_id, last.result.status) == ("a.md", "succeeded")


def test_it_is_refused_when_a_part_has_failed_and_retried_with_it(database: Database) -> None:
    a_document(database)
    first, *others = take(database)
    failed = Settlement(first, JobState.FAILED, 0, error="no")
    settling.settle(database, ACCOUNT, [failed, *map(succeeded, others)], NOW)
    assert documents.promote(database, SETTINGS, NOW) == 1
    [refusal] = lines.refusals(database, BATCH)
    assert (refusal.line, refusal.code) == (4, "parts_failed")
    assert "1 of its 3 parts" in refusal.message
    assert lines.count(database, BATCH) == Counts(succeeded=2, failed=1, invalid=1)
    assert records.complete(database, NOW) == [BATCH]
    assert lines.retry_failed(database, BATCH) == 2
    answer_all(database)
    assert documents.promote(database, SETTINGS, NOW) == 1
    answer_all(database)
    assert lines.count(database, BATCH) == Counts(succeeded=4)


def test_a_part_that_was_refused_is_a_part_without_an_answer(database: Database) -> None:
    a_document(database, refused=(2,))
    answer_all(database)
    assert documents.promote(database, SETTINGS, NOW) == 1
    assert [refusal.line for refusal in lines.refusals(database, BATCH)] == [2, 4]


def test_a_template_that_cannot_be_filled_refuses_the_document(database: Database) -> None:
    a_document(database, template="{{ nothing.at.all }}")
    answer_all(database)
    documents.promote(database, SETTINGS, NOW)
    [refusal] = lines.refusals(database, BATCH)
    assert "reduce prompt" in refusal.message


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{{ parts[0][:0] }}", "invalid_request"),
        ("{{ 'x' * 5_000_000 }}", "invalid_request"),
        ("{{ 'many words ' * 50_000 }}", "context_too_long"),
    ],
    ids=["empty", "too large", "too long for any tier"],
)
def test_a_prompt_that_cannot_be_served_refuses_its_document_and_no_other(
    database: Database, template: str, code: str
) -> None:
    a_document(database, template=template)
    a_document(database, batch_id="batch_2")
    answer_all(database)
    assert documents.promote(database, SETTINGS, NOW) == 2
    [refusal] = lines.refusals(database, BATCH)
    assert (refusal.line, refusal.code) == (4, code)
    assert lines.count(database, "batch_2") == Counts(queued=1, succeeded=3)


def test_a_document_that_a_newer_version_wrote_holds_up_no_other(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    a_document(database)
    a_document(database, batch_id="batch_2")
    answer_all(database)
    with database.write() as connection:
        mine = BatchDocument.batch_id == BATCH
        connection.execute(update(BatchDocument).where(mine).values(request='{"colour": "blue"}'))
    assert documents.promote(database, SETTINGS, NOW) == 1
    assert lines.count(database, BATCH) == Counts(succeeded=3, waiting=1)
    assert lines.count(database, "batch_2") == Counts(queued=1, succeeded=3)
    assert f"line 4 of batch {BATCH}" in caplog.text


def test_documents_that_a_budget_has_no_room_for_hold_up_no_other_tenant(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_PAGE", 1)
    poor = Budget(tenant="poor", usd=Decimal(0), per="day")
    settings = Settings(budgets=(poor,))
    for number in range(1, 5):
        a_document(database, batch_id=f"batch_{number}", tenant="rich" if number == 4 else "poor")
    answer_all(database)
    assert documents.promote(database, settings, NOW) == 1
    assert lines.count(database, "batch_4") == Counts(queued=1, succeeded=3)
    assert lines.count(database, "batch_1") == Counts(succeeded=3, waiting=1)
    assert documents.promote(database, SETTINGS, NOW) == 3


def test_cancelling_refuses_what_waits(database: Database) -> None:
    a_document(database)
    assert records.cancel(database, BATCH, NOW).state is BatchState.CANCELLED
    assert lines.count(database, BATCH) == Counts(cancelled=3, invalid=1)
    assert documents.promote(database, SETTINGS, NOW) == 0
