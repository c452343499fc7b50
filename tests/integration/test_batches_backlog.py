"""The backlog: which lines workers claim, in which order, and what money and pauses do to it."""

import pytest
from sqlalchemy import update

from penstock_shared.ledger import claiming, settling, sweeping
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.words import BatchState, JobState
from tests.batches import a_loaded_batch, numbers, plain_batch, take
from tests.examples import (
    ACCOUNT,
    NOW,
    WORKER,
    accept_some,
    claim_some,
    lose_engines,
    lose_workers,
    open_books,
    succeeded,
    together,
)
from tests.rig import plans, statements


@pytest.fixture(autouse=True)
def _books(database: Database) -> None:
    open_books(database)


def test_lines_are_claimed_in_order_and_each_once(database: Database) -> None:
    plain_batch(database, 5)
    assert numbers(take(database, 2)) == [1, 2]
    assert numbers(take(database, 2)) == [3, 4]
    assert numbers(take(database, 2)) == [5]
    assert take(database, 2) == []


def test_workers_that_claim_at_once_get_different_lines(database: Database) -> None:
    plain_batch(database, 60)
    claims = together(6, lambda n: take(database, 10, worker_id=f"worker-{n}"))
    assert numbers(claim for some in claims for claim in some) == list(range(1, 61))


def test_another_tiers_lines_are_left_alone(database: Database) -> None:
    plain_batch(database, 2, fields=())
    assert take(database, tier="large") == []


def test_a_line_with_a_prefix_waits_until_the_first_of_its_prefix_has_ended(
    database: Database,
) -> None:
    a_loaded_batch(database, [1, 1, 3, 1, 3, 6])  # 1, 2 and 4 belong together, and 3 and 5
    first = take(database)
    assert numbers(first) == [1, 3, 6]
    assert take(database) == []
    settling.settle(database, ACCOUNT, [succeeded(c) for c in first if numbers([c]) == [3]], NOW)
    assert numbers(take(database)) == [5]
    settling.settle(database, ACCOUNT, [succeeded(c) for c in first if numbers([c]) == [1]], NOW)
    assert numbers(take(database)) == [2, 4]


def test_cold_prefixes_do_not_hide_what_is_behind_them(database: Database) -> None:
    a_loaded_batch(database, [1] * 50 + [51, 52])
    assert numbers(take(database, 2)) == [1, 51]
    assert numbers(take(database, 2)) == [52]


def test_lines_of_many_prefixes_run_side_by_side(database: Database) -> None:
    a_loaded_batch(database, [1 + 20 * (n // 20) for n in range(800)])  # 40 prefixes of 20 lines
    claims = [take(database, 16) for _ in range(4)]
    assert [len(some) for some in claims] == [16, 16, 8, 0]
    assert numbers(claims[0]) == list(range(1, 320, 20))
    last = claims[2][-1:]
    settling.settle(database, ACCOUNT, [succeeded(claim) for claim in last], NOW)
    [warm] = numbers(last)
    assert numbers(take(database, 16)) == list(range(warm + 1, warm + 17))


def test_what_waits_behind_cold_prefixes_costs_a_claim_no_more_statements(
    database: Database,
) -> None:
    def statements_of_a_claim(wanted: int) -> int:
        with statements(database) as seen:
            assert len(take(database, 16)) == wanted
        return len(seen)

    a_loaded_batch(database, [1 + 3 * (n // 3) for n in range(96)])
    few = statements_of_a_claim(16)
    assert statements_of_a_claim(16) == few
    assert statements_of_a_claim(0) < few


def test_warm_and_cold_prefixes_are_claimed_in_the_order_of_the_backlog(
    database: Database,
) -> None:
    a_loaded_batch(database, [1, 1, 3, 3, 1, 6, 6, 8])
    first = take(database, 2)
    assert numbers(first) == [1, 3]
    settling.settle(database, ACCOUNT, [succeeded(claim) for claim in first[:1]], NOW)
    assert numbers(take(database, 1)) == [2]
    assert numbers(take(database, 2)) == [5, 6]
    assert numbers(take(database, 2)) == [8]


def test_a_prefix_whose_first_line_was_refused_is_not_cold(database: Database) -> None:
    a_loaded_batch(database, [9, 9, 4])
    assert numbers(take(database)) == [1, 2, 3]


def test_batches_share_the_room(database: Database) -> None:
    for name in ("one", "two"):
        plain_batch(database, 40, id=name)
    claims = take(database, 10)
    assert sorted(claim.batch_id or "" for claim in claims) == ["one"] * 5 + ["two"] * 5


def test_no_line_of_a_paused_or_cancelled_batch_is_claimed(database: Database) -> None:
    batch = plain_batch(database, 3)
    assert records.pause(database, batch.id, "lunch").stopped_by == "lunch"
    assert take(database) == []
    assert records.resume(database, batch.id).state is BatchState.RUNNING
    assert len(take(database, 1)) == 1
    assert records.cancel(database, batch.id, NOW).state is BatchState.CANCELLED
    assert take(database) == []


def test_lines_in_the_backlog_are_not_for_the_broker(database: Database) -> None:
    plain_batch(database, 3)
    waiting = accept_some(database)
    outbox = sweeping.outbox(database, now_ms=NOW + 9_999, older_than_ms=0, limit=10)
    assert [wakeup.job_id for wakeup in outbox] == waiting


def test_a_line_that_was_lost_comes_back_by_message(database: Database) -> None:
    plain_batch(database, 2)
    [alone] = take(database, 1)
    lose_engines(database, [alone])
    [other] = take(database)
    assert other.job_id != alone.job_id
    later = NOW + 999_999
    outbox = sweeping.outbox(database, now_ms=later, older_than_ms=0, limit=10)
    assert [(wakeup.job_id, wakeup.again) for wakeup in outbox] == [(alone.job_id, True)]


def test_lines_lost_with_a_worker_come_back_by_message(database: Database) -> None:
    plain_batch(database, 2)
    lost = {claim.job_id for claim in take(database)}
    lose_workers(database)
    outbox = sweeping.outbox(database, now_ms=NOW + 9_999, older_than_ms=0, limit=10)
    assert {wakeup.job_id for wakeup in outbox} == lost


def test_a_line_that_is_given_back_waits_in_the_backlog_again(database: Database) -> None:
    plain_batch(database, 2)
    claims = take(database)
    settling.give_back(database, ACCOUNT, claims, 0, NOW)
    assert sweeping.outbox(database, now_ms=NOW + 9_999, older_than_ms=0, limit=10) == []
    again = take(database)
    assert numbers(again) == [1, 2]
    assert {claim.fence for claim in again} == {2}


def test_a_suspect_that_is_given_back_is_left_to_its_message(database: Database) -> None:
    plain_batch(database, 1)
    claims = take(database)
    with database.write() as connection:
        connection.execute(update(Job).values(suspicion=1))
    settling.give_back(database, ACCOUNT, claims, 0, NOW)
    assert take(database) == []


def test_a_line_whose_deadline_passed_is_not_claimed(database: Database) -> None:
    batch = plain_batch(database, 2)
    with database.write() as connection:
        connection.execute(update(Job).where(Job.batch_line == 1).values(deadline_ms=NOW - 1))
    assert numbers(take(database)) == [2]
    assert sweeping.expire_overdue(database, NOW) == 1
    assert batch.total == 2


def test_money_is_spent_up_to_the_limit_and_by_no_more_than_what_runs(database: Database) -> None:
    batch = plain_batch(database, 100, max_cost_pusd=20_000)
    spent = 0
    while claims := take(database):
        assert len(claims) <= max(8, (20_000 - spent) // 1_000)
        settling.settle(database, ACCOUNT, [succeeded(claim) for claim in claims], NOW)
        spent += 1_000 * len(claims)
    found = records.get(database, batch.id)
    assert (found.spent_pusd, found.succeeded) == (20_000, 20)
    assert found.state is BatchState.PAUSED
    assert "max cost of 0.00000002 USD" in (found.stopped_by or "")
    records.resume(database, batch.id, max_cost_pusd=25_000)
    assert len(take(database)) == 5


def test_the_limit_is_kept_while_lines_run(database: Database) -> None:
    batch = plain_batch(database, 100, max_cost_pusd=20_000)
    first = take(database)
    settling.settle(database, ACCOUNT, [succeeded(claim) for claim in first], NOW)
    running = take(database)
    assert len(first) + len(running) == 20
    assert take(database) == []
    assert records.get(database, batch.id).state is BatchState.RUNNING  # some are under way


def test_workers_that_claim_at_once_learn_the_price_from_the_same_eight_lines(
    database: Database,
) -> None:
    plain_batch(database, 100, max_cost_pusd=20_000)
    claims = together(6, lambda n: take(database, 16, worker_id=f"worker-{n}"))
    assert sum(map(len, claims)) == 8


def test_a_batch_for_which_no_room_is_left_is_not_paused(database: Database) -> None:
    batches = [plain_batch(database, 2, id=f"b{n}", max_cost_pusd=10**15) for n in range(5)]
    assert len(take(database, 4)) == 4
    states = {records.get(database, batch.id).state for batch in batches}
    assert states == {BatchState.RUNNING}


def test_a_batch_is_not_paused_while_a_line_of_it_will_come_back(database: Database) -> None:
    batch = plain_batch(database, 9, max_cost_pusd=1_500)
    *answered, last = take(database)
    lose_engines(database, [last])
    settling.settle(database, ACCOUNT, [succeeded(claim) for claim in answered], NOW)
    assert take(database) == []
    assert records.get(database, batch.id).state is BatchState.RUNNING
    claims = claim_some(database, [last.job_id], now_ms=NOW + 9_999)
    settling.settle(database, ACCOUNT, [succeeded(claim) for claim in claims], NOW)
    assert take(database) == []
    assert records.get(database, batch.id).state is BatchState.PAUSED


def test_lines_under_way_are_counted_with_an_index_of_no_others(database: Database) -> None:
    plain_batch(database, 3, max_cost_pusd=10**9)
    assert "ix_jobs_lines_under_way" in plans(database, lambda: take(database, 1))


def test_cancelling_ends_waiting_lines_and_asks_running_ones_to_end(database: Database) -> None:
    batch = plain_batch(database, 5)
    claims = take(database, 2)
    records.cancel(database, batch.id, NOW)
    assert {c.job_id for c in claiming.to_cancel(database, WORKER)} == {c.job_id for c in claims}
    with database.read() as connection:
        cancelled = connection.execute(Job.__table__.select()).all()
    assert [row.state for row in cancelled].count(JobState.CANCELLED) == 3
