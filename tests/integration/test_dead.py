"""Dead jobs are listed, shown, retried and dropped, and nothing of them is lost."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock_producer.cli.main import run
from penstock_shared.ledger import dead, reading, settling, sweeping
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.words import AttemptOutcome, JobState
from tests.examples import (
    ACCOUNT,
    LEASE,
    NOW,
    accept_some,
    claim_some,
    lose_engines,
    state_of,
    succeeded,
)

LATER = NOW + LEASE + 1


def kill(database: Database, count: int = 1, *, at_ms: int = NOW, **fields: str) -> list[Claim]:
    """Jobs whose only attempt was lost."""
    claims = claim_some(database, accept_some(database, count, **fields), now_ms=at_ms)
    lose_engines(database, claims, now_ms=at_ms + LEASE + 1, max_attempts=1)
    return claims


def ids_of(database: Database, **choice: str) -> list[str]:
    return [job.job_id for job in dead.dead_jobs(database, **choice)]


def test_dead_jobs_are_listed_and_those_that_died_last_come_first(database: Database) -> None:
    [old], [new] = kill(database), kill(database, at_ms=NOW + 5)
    accept_some(database, 2)
    assert ids_of(database) == [new.job_id, old.job_id]
    [listed] = dead.dead_jobs(database, limit=1)
    assert (listed.attempts, listed.finished_ms) == (1, LATER + 5)
    assert listed.error == "lost in each of 1 attempts; the last time: the engine died"


def test_a_list_can_be_of_one_tier_or_tenant(database: Database) -> None:
    [ours], [theirs] = kill(database, tenant="ours"), kill(database, tenant="theirs", tier="large")
    assert ids_of(database, tenant="ours") == [ours.job_id]
    assert ids_of(database, tier="large") == [theirs.job_id]
    assert ids_of(database, tenant="ours", tier="large") == []


def test_a_retried_job_has_all_its_attempts_again_and_is_published(database: Database) -> None:
    [claim] = kill(database)
    assert dead.retry(database, [claim.job_id]) == [claim.job_id]
    assert ids_of(database) == []
    [wakeup] = sweeping.outbox(database, now_ms=LATER, older_than_ms=0, limit=10)
    assert wakeup.job_id == claim.job_id
    [again] = claim_some(database, [claim.job_id], now_ms=LATER)
    assert again.fence > claim.fence
    settling.settle(database, ACCOUNT, [succeeded(again)], LATER)
    found = reading.fetch_one(database, claim.job_id)
    assert (found.status, found.attempts, found.error) == (JobState.SUCCEEDED, 1, None)


def test_a_worker_that_was_taken_for_dead_settles_nothing_after_a_retry(database: Database) -> None:
    [claim] = kill(database)
    dead.retry(database, [claim.job_id])
    claim_some(database, [claim.job_id], now_ms=LATER)
    assert settling.settle(database, ACCOUNT, [succeeded(claim)], LATER) == set()
    assert state_of(database, claim.job_id) == JobState.RUNNING


def test_the_attempts_of_a_job_tell_its_story(database: Database) -> None:
    [claim] = kill(database)
    dead.retry(database, [claim.job_id])
    claim_some(database, [claim.job_id], now_ms=LATER)
    lost, running = dead.attempts_of(database, claim.job_id)
    assert (lost.outcome, lost.error) == (AttemptOutcome.LOST, "the engine died")
    assert (running.outcome, running.ended_ms) == (AttemptOutcome.CLAIMED, None)


def test_a_dropped_job_ends_as_cancelled(database: Database) -> None:
    [claim] = kill(database)
    assert dead.drop(database, [claim.job_id], LATER) == [claim.job_id]
    assert ids_of(database) == []
    found = reading.fetch_one(database, claim.job_id)
    assert found.status is JobState.CANCELLED
    assert "dropped by an operator" in (found.error or "")


def test_only_dead_jobs_are_changed(database: Database) -> None:
    waiting = accept_some(database)
    assert dead.retry(database, waiting) == dead.drop(database, waiting, NOW) == []
    assert state_of(database, waiting[0]) == JobState.QUEUED


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def home_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The ledger of a home whose stack does not run, with two dead jobs."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    opened = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    migrate(opened)
    kill(opened, 2)
    return opened


@pytest.fixture
def penstock(
    home_ledger: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["penstock", "dead", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return call


def test_the_commands_list_show_retry_and_drop(
    penstock: Callable[..., Done], home_ledger: Database
) -> None:
    first, second = (
        json.loads(line)["job_id"] for line in penstock("list", "--json").out.splitlines()
    )
    assert first in penstock("list").out
    shown = json.loads(penstock("show", first, "--json").out)
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["lost"]
    assert "the engine died" in penstock("show", first).out
    assert penstock("retry", first).out == f"{first} queued\n"
    assert json.loads(penstock("drop", "--all", "--json").out)["job_id"] == second
    assert penstock("list").out == "no job is dead\n"
    assert "no job is dead" in penstock("retry", "--all").err
    assert state_of(home_ledger, second) == JobState.CANCELLED
    home_ledger.close()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("retry",), 65, "name jobs, or say --all"),
        (("drop", "x", "--all"), 65, "name jobs, or say --all"),
        (("retry", "unknown"), 66, "no job 'unknown'"),
        (("show", "unknown"), 66, "no job 'unknown'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    penstock: Callable[..., Done],
    home_ledger: Database,
    arguments: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    done = penstock(*arguments)
    assert done.status == status
    assert message in done.err
    home_ledger.close()


def test_a_job_that_is_not_dead_is_not_touched(
    penstock: Callable[..., Done], home_ledger: Database
) -> None:
    [waiting] = accept_some(home_ledger)
    done = penstock("retry", waiting)
    assert done.status == 65
    assert "is queued, not dead; nothing was changed" in done.err
    home_ledger.close()
