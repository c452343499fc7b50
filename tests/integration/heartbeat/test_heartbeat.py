"""The heartbeat keeps leases, hears of cancellations and deadlines, and outlives the ledger."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from penstock_shared.ledger import claiming, reading, worker_time
from penstock_shared.ledger.schema import Job, WorkerTime
from penstock_shared.ledger.worker_time import Spent
from penstock_shared.words import JobState
from penstock_workers.engine.protocol import Ending
from penstock_workers.heartbeat import Heartbeat
from tests.examples import (
    LEASE,
    NOW,
    Clock,
    a_completion,
    claim_some,
    lose_workers,
    rows,
    state_of,
)
from tests.integration.heartbeat.conftest import OutageLedger
from tests.integration.heartbeat.looking import leases
from tests.rig import BOUND_S, Rig, accept, eventually


def settled(rig: Rig, job_id: str) -> JobState:
    """Where a job stands when all is settled that the heartbeat has handed over by now."""
    rig.settle()
    return state_of(rig.database, job_id)


@pytest.mark.usefixtures("beating")
def test_leases_of_all_that_flies_are_renewed(rig: Rig) -> None:
    rig.admit(*accept(rig.database, "same", "same", "other"))
    rig.clock.now = NOW + LEASE - 1
    eventually(lambda: leases(rig) == {NOW + 2 * LEASE - 1})
    assert rig.engine.aborted == []


@pytest.mark.usefixtures("beating")
def test_a_cancelled_job_that_is_alone_is_aborted_in_the_engine(rig: Rig) -> None:
    cancelled, other = accept(rig.database, "cancelled", "other")
    rig.admit(cancelled, other)
    claiming.cancel(rig.database, [cancelled], NOW)
    eventually(lambda: rig.engine.aborted)
    assert set(rig.engine.aborted) == {cancelled}
    rig.settle(a_completion(cancelled, Ending.ABORT, cost_pusd=3), a_completion(other))
    result = reading.fetch_one(rig.database, cancelled)
    assert (result.status, result.charge_usd) == (JobState.CANCELLED, None)
    assert "by the caller" in (result.error or "")
    assert state_of(rig.database, other) is JobState.SUCCEEDED


@pytest.mark.usefixtures("beating")
def test_a_cancelled_job_that_shares_a_flight_leaves_it_and_the_flight_goes_on(rig: Rig) -> None:
    first, second = accept(rig.database, "same", "same")
    rig.admit(first, second)
    claiming.cancel(rig.database, [first], NOW)
    eventually(lambda: [claim.job_id for claim in rig.flights.claims()] == [second])
    eventually(lambda: settled(rig, first) is JobState.CANCELLED)
    assert (rig.engine.aborted, len(rig.flights)) == ([], 1)
    rig.settle(a_completion(first))
    assert state_of(rig.database, second) is JobState.SUCCEEDED


@pytest.mark.usefixtures("beating")
def test_a_job_past_its_deadline_is_aborted_in_the_engine(rig: Rig) -> None:
    [overdue] = accept(rig.database, "overdue", deadline_ms=NOW + 100)
    [other] = accept(rig.database, "other", deadline_ms=NOW + 101)
    rig.admit(overdue, other)
    rig.clock.now = NOW + 100
    eventually(lambda: rig.engine.aborted)
    assert set(rig.engine.aborted) == {overdue}
    rig.settle(a_completion(overdue, Ending.ABORT))
    result = reading.fetch_one(rig.database, overdue)
    assert (result.status, result.error) == (
        JobState.EXPIRED,
        "the deadline passed while it ran",
    )


@pytest.mark.usefixtures("beating")
def test_a_job_past_its_deadline_leaves_a_flight_that_it_shares(rig: Rig) -> None:
    [overdue] = accept(rig.database, "same", deadline_ms=NOW + 100)
    [patient] = accept(rig.database, "same")
    rig.admit(overdue, patient)
    rig.clock.now = NOW + 100
    eventually(lambda: [claim.job_id for claim in rig.flights.claims()] == [patient])
    rig.settle(a_completion(overdue))
    assert state_of(rig.database, patient) is JobState.SUCCEEDED
    eventually(lambda: settled(rig, overdue) is JobState.EXPIRED)
    assert rig.engine.aborted == []


@pytest.mark.usefixtures("beating")
def test_deadlines_are_kept_while_the_ledger_is_away(rig: Rig, database: OutageLedger) -> None:
    [overdue] = accept(database, "overdue", deadline_ms=NOW + 100)
    rig.admit(overdue)
    database.is_away = True
    rig.clock.now = NOW + 100
    eventually(lambda: rig.engine.aborted)


@pytest.mark.usefixtures("beating")
def test_a_claim_that_was_lost_is_aborted_and_its_new_holder_is_left_in_peace(rig: Rig) -> None:
    [job_id] = accept(rig.database, "What is a dam?")
    [future] = rig.admit(job_id)
    with rig.database.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET state = 'queued', worker_id = NULL")
    claim_some(rig.database, [job_id], worker_id="another")
    eventually(lambda: rig.engine.aborted)
    rig.settle(a_completion(job_id, Ending.ABORT, cost_pusd=5))
    [row] = rows(rig.database, Job)
    assert (row.state, row.worker_id) == (JobState.RUNNING, "another")
    assert future.result(BOUND_S) is JobState.RUNNING


@pytest.mark.usefixtures("beating")
def test_the_books_are_kept(rig: Rig) -> None:
    rig.engine.spent = Spent(100, 40)
    rig.clock.now = NOW + 7
    eventually(lambda: rows(rig.database, WorkerTime, WorkerTime.seen_ms == NOW + 7))
    # A beat that was under way may have asked the engine before, and the clock afterwards.
    eventually(lambda: worker_time.read_books(rig.database)[0].paid_pusd == 100)
    [books] = worker_time.read_books(rig.database)
    assert (books.paid_pusd, books.idle_pusd) == (100, 40)


def test_an_outage_of_the_ledger_is_survived(
    rig: Rig, database: OutageLedger, beating: threading.Thread
) -> None:
    rig.admit(*accept(database, "What is a dam?"))
    database.is_away = True
    eventually(lambda: database.refused > 3)
    rig.clock.now = NOW + 9
    database.is_away = False
    eventually(lambda: leases(rig) == {NOW + 9 + LEASE})
    assert beating.is_alive()


@pytest.mark.usefixtures("beating")
def test_a_cache_that_cannot_be_refreshed_costs_no_lease(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.admit(*accept(rig.database, "What is a dam?"))

    def broken() -> None:
        raise ValueError("a vector of another length")

    monkeypatch.setattr(rig.cache, "refresh", broken)
    rig.clock.now = NOW + 9
    eventually(lambda: leases(rig) == {NOW + 9 + LEASE})


def test_a_disk_that_is_full_costs_no_lease(
    rig: Rig, beating: threading.Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.admit(*accept(rig.database, "What is a dam?"))
    failures: list[str] = []

    def full(path: Path, *_: object, **__: object) -> int:
        failures.append(path.name)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    eventually(lambda: len(failures) > 1)
    rig.clock.now = NOW + 9
    eventually(lambda: leases(rig) == {NOW + 9 + LEASE})
    assert beating.is_alive()


@pytest.mark.parametrize(("died", "lost"), [(False, 0), (True, 60)])
def test_closing_the_books_writes_the_last_word_and_takes_the_sign_of_life_away(
    rig: Rig, heart: Heartbeat, health_file: Path, died: bool, lost: int
) -> None:
    health_file.write_text("{}")
    rig.engine.spent = Spent(100, 40)
    rig.clock.now = NOW + 9
    heart.close_books(died=died)
    [row] = rows(rig.database, WorkerTime)
    assert (row.ended_ms, row.paid_pusd, row.idle_pusd) == (NOW + 9, 100, 40)
    assert row.lost_pusd == lost
    assert not health_file.exists()


def test_the_ledger_is_asked_at_each_beat_and_not_at_each_tick(
    rig: Rig, heart: Heartbeat, monotonic: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew: Callable[..., Any] = claiming.renew
    beats: list[float] = []

    def spy(*args: Any, **kwargs: Any) -> Any:
        beats.append(monotonic.now)
        return renew(*args, **kwargs)

    monkeypatch.setattr(claiming, "renew", spy)
    monkeypatch.setattr(heart, "_life", heart._life._replace(heartbeat_s=2.0))
    ticks = iter(range(100))

    def tick(_timeout: float) -> bool:
        monotonic.now = next(ticks) * 0.5
        return monotonic.now > 5

    monkeypatch.setattr(heart, "_stopped", SimpleNamespace(wait=tick))
    heart.run()
    assert beats == [0, 2, 4]


def test_a_requeued_claim_is_not_renewed_by_its_old_holder(rig: Rig, heart: Heartbeat) -> None:
    [job_id] = accept(rig.database, "What is a dam?")
    rig.admit(job_id)
    lose_workers(rig.database)
    heart._beat()
    assert rig.engine.aborted == [job_id]
    [row] = rows(rig.database, Job)
    assert (row.state, row.lease_until_ms) == (JobState.QUEUED, None)
