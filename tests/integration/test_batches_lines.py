"""Batches in the ledger: loaded once, counted whole, read line by line, completed, retried."""

from decimal import Decimal

import pytest

from penstock_shared.budgets import Budget
from penstock_shared.errors import BatchBusy, BatchNotFound, BudgetExceeded
from penstock_shared.ledger import losing, settling
from penstock_shared.ledger.accepting import Draft, Place
from penstock_shared.ledger.batches import lines, loading, records
from penstock_shared.ledger.batches.entering import Refusal
from penstock_shared.ledger.batches.lines import Counts, Ended
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.estimating import Estimator
from penstock_shared.ledger.schema import Job
from penstock_shared.ledger.settling import Settlement
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState, JobState
from tests.batches import BATCH, a_batch, plain_batch, take
from tests.examples import ACCOUNT, NOW, a_draft, open_books, rows, succeeded

WRONG = Refusal(4, "name-4", "invalid_json_line", "it is no JSON", None)


@pytest.fixture(autouse=True)
def _books(database: Database) -> None:
    open_books(database)


def drafts_of(first: int, count: int) -> list[Draft]:
    return [
        a_draft(f"line {n} of it")._replace(place=Place(BATCH, n, f"name-{n}", n))
        for n in range(first, first + count)
    ]


def load(database: Database, loaded: int, drafts: list[Draft]) -> None:
    loading.load(
        database,
        BATCH,
        loaded=loaded,
        upto=loaded + len(drafts),
        drafts=drafts,
        refusals=(),
        now_ms=NOW,
    )


def test_an_unknown_batch_is_an_error_that_says_what_to_do(database: Database) -> None:
    with pytest.raises(BatchNotFound, match="penstock batch list"):
        records.get(database, "batch_0")


def test_lines_are_loaded_once_when_two_commands_do_it(database: Database) -> None:
    records.create(database, a_batch(4))
    load(database, 0, drafts_of(1, 2))
    with pytest.raises(BatchBusy):
        load(database, 0, drafts_of(1, 2))
    load(database, 2, drafts_of(3, 2))
    assert records.get(database, BATCH).is_loaded
    assert sorted(row.batch_line for row in rows(database, Job)) == [1, 2, 3, 4]


def test_nothing_of_a_group_is_loaded_when_the_budget_is_not_enough_for_it(
    database: Database,
) -> None:
    budget = Budget(tenant="default", usd=Decimal("0.000001"), per="day")
    settings = Settings(budgets=(budget,))
    drafts = Estimator(settings, database).with_holds(drafts_of(1, 3), NOW)
    records.create(database, a_batch(3))
    with pytest.raises(BudgetExceeded):
        load(database, 0, drafts)
    assert rows(database, Job) == []
    assert records.get(database, BATCH).loaded == 0


def test_counts_are_always_the_total(database: Database) -> None:
    batch = plain_batch(database, 6, refusals=[WRONG._replace(line=7)])
    one, two, three, *_ = take(database, 4)
    failed = Settlement(two, JobState.FAILED, 5, error="it cannot be served")
    settling.settle(database, ACCOUNT, [succeeded(one), failed], NOW)
    losing.lose(database, [three], reason="x", together=False, now_ms=NOW, max_attempts=1)
    counts = lines.count(database, batch.id)
    assert counts == Counts(queued=2, running=1, succeeded=1, failed=1, dead=1, invalid=1)
    assert counts.total == batch.total
    assert (counts.ended, counts.without_answer) == (4, 3)


def test_a_batch_is_completed_when_all_of_its_lines_have_ended(database: Database) -> None:
    batch = plain_batch(database, 2)
    one, two = take(database)
    settling.settle(database, ACCOUNT, [succeeded(one)], NOW)
    assert records.complete(database, NOW) == []
    settling.settle(database, ACCOUNT, [succeeded(two)], NOW)
    assert records.complete(database, NOW) == [batch.id]
    assert records.get(database, batch.id).state is BatchState.COMPLETED
    assert records.complete(database, NOW) == []


def test_a_batch_that_is_not_all_loaded_is_not_completed(database: Database) -> None:
    records.create(database, a_batch(2))
    assert records.complete(database, NOW) == []


def test_ended_lines_come_in_the_order_of_their_ends_page_by_page(database: Database) -> None:
    batch = plain_batch(database, 5)
    for moment, claim in enumerate(reversed(take(database))):
        settling.settle(database, ACCOUNT, [succeeded(claim)], NOW + moment // 2)
    seen: list[Ended] = []
    since = Ended(0, 0)
    while page := lines.ended(database, batch.id, since=since, limit=2):
        seen += page
        since = page[-1]
    assert [ended.line for ended in seen] == [4, 5, 2, 3, 1]


def test_results_carry_the_callers_name_and_what_was_charged(database: Database) -> None:
    batch = plain_batch(database, 3)
    claims = take(database, 2)
    settling.settle(database, ACCOUNT, [succeeded(claims[0], cost_pusd=77)], NOW)
    first, second = lines.results(database, batch.id, [2, 1])
    assert (first.line, first.custom_id, first.result.status) == (1, "name-1", "succeeded")
    assert str(first.result.charge_usd) == "7.7E-11"
    assert (second.line, second.result.status) == (2, "running")


def test_refused_lines_are_read_page_by_page(database: Database) -> None:
    wrong = [WRONG._replace(line=n) for n in (2, 3, 4)]
    batch = plain_batch(database, 1, refusals=wrong)
    assert lines.refusals(database, batch.id, limit=2) == wrong[:2]
    assert lines.refusals(database, batch.id, after=3) == wrong[2:]


def test_batches_are_found_by_tenant_output_and_input(database: Database) -> None:
    made = [
        a_batch(1, id=f"b{number}", out=f"/out/{number % 2}", created_ms=NOW + number)
        for number in range(3)
    ]
    assert records.create(database, made[0])
    assert records.create(database, made[1])
    assert not records.create(database, made[2])  # another one writes there
    assert records.create(database, made[2], after=made[0])
    assert [b.id for b in records.newest(database, limit=9)] == ["b2", "b1", "b0"]
    assert [b.id for b in records.newest(database, out="/out/0")] == ["b2"]
    assert records.newest(database, tenant="nobody") == []
