"""What nobody works on is found by one sweeper at a time."""

from penstock_shared.ledger import accepting, claiming, sweeping
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.words import JobState
from tests.examples import NOW, WORKER, a_draft, accept_some, claim_some, rows, state_of, together
from tests.rig import plans


def outbox(database: Database, *, now_ms: int, grace_ms: int = 0, limit: int = 100) -> list[str]:
    found = sweeping.outbox(database, now_ms=now_ms, older_than_ms=grace_ms, limit=limit)
    return [wakeup.job_id for wakeup in found]


def take(database: Database, holder: str, now_ms: int) -> bool:
    return sweeping.take_duty(database, holder, now_ms=now_ms, until_ms=now_ms + 1000)


def test_the_outbox_holds_unpublished_jobs_oldest_first(database: Database) -> None:
    old, new, published = (
        accepting.accept(database, [a_draft()], NOW + after)[0] for after in (0, 10, 5)
    )
    assert isinstance(old, Accepted)
    assert isinstance(new, Accepted)
    assert isinstance(published, Accepted)
    accepting.mark_published(database, [published.job_id], NOW)
    assert outbox(database, now_ms=NOW + 100) == [old.job_id, new.job_id]
    assert outbox(database, now_ms=NOW + 100, limit=1) == [old.job_id]


def test_the_outbox_names_each_jobs_tier(database: Database) -> None:
    accept_some(database, tier="large")
    [wakeup] = sweeping.outbox(database, now_ms=NOW + 1, older_than_ms=0, limit=10)
    assert wakeup.tier == "large"


def test_a_client_has_time_to_publish_its_own_jobs(database: Database) -> None:
    ids = accept_some(database)
    assert outbox(database, now_ms=NOW + 2000, grace_ms=2000) == []
    assert outbox(database, now_ms=NOW + 2001, grace_ms=2000) == ids


def test_jobs_that_run_or_ended_or_are_not_due_are_not_in_the_outbox(database: Database) -> None:
    ids = accept_some(database, 3)
    claim_some(database, ids[:1])
    claiming.cancel(database, ids[1:2], NOW)
    with database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE jobs SET not_before_ms = {NOW + 500} WHERE id = '{ids[2]}'"
        )
    assert outbox(database, now_ms=NOW + 499) == []
    assert outbox(database, now_ms=NOW + 500) == ids[2:]


def test_only_one_worker_has_the_duty_until_its_time_is_over(database: Database) -> None:
    assert take(database, "a", NOW)
    assert not take(database, "b", NOW + 1000)
    assert take(database, "b", NOW + 1001)
    assert not take(database, "a", NOW + 1002)


def test_the_holder_of_the_duty_keeps_it_by_taking_it_again(database: Database) -> None:
    assert take(database, "a", NOW)
    assert take(database, "a", NOW + 900)
    assert not take(database, "b", NOW + 1500)


def test_of_many_workers_that_want_the_duty_at_once_one_gets_it(database: Database) -> None:
    assert sum(together(8, lambda number: take(database, f"w{number}", NOW))) == 1


def test_queued_jobs_past_their_deadline_expire(database: Database) -> None:
    ids = accept_some(database, 3, deadline_ms=NOW + 100) + accept_some(database)
    claim_some(database, ids[2:3])
    assert sweeping.expire_overdue(database, NOW + 99) == 0
    assert sweeping.expire_overdue(database, NOW + 100) == 2
    states = [state_of(database, job_id) for job_id in ids]
    assert states == [JobState.EXPIRED, JobState.EXPIRED, JobState.RUNNING, JobState.QUEUED]
    expired = rows(database, Job, Job.state == JobState.EXPIRED.value)
    assert {row.finished_ms for row in expired} == {NOW + 100}
    assert all("deadline passed" in row.error for row in expired)


def test_cancelling_ends_what_waits_and_asks_what_runs(database: Database) -> None:
    queued, running, done = ids = accept_some(database, 3)
    claim_some(database, [running])
    claiming.cancel(database, [done], NOW)
    states = claiming.cancel(database, [*ids, "no-such-job"], NOW + 7)
    assert states == {
        queued: JobState.CANCELLED,
        running: JobState.RUNNING,
        done: JobState.CANCELLED,
    }
    by_id = {row.id: row for row in rows(database, Job)}
    assert by_id[queued].finished_ms == NOW + 7
    assert by_id[done].finished_ms == NOW
    assert [by_id[job_id].cancel_requested for job_id in ids] == [False, True, False]
    assert "before it started" in by_id[queued].error


def test_jobs_to_be_cancelled_are_found_with_an_index_of_no_others(database: Database) -> None:
    claim_some(database, accept_some(database, 2))
    assert "ix_jobs_cancellations" in plans(database, lambda: claiming.to_cancel(database, WORKER))
