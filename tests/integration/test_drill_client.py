"""A caller of the drill: a process that writes down all it sees."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from penstock_producer.drill_client import PlanLine
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.settling import Settlement
from penstock_shared.stack.processes import free_port
from penstock_shared.words import JobState
from penstock_workers.drill.history import History, read_history
from tests.rig import BOUND_S, eventually
from tests.scripted import echo, working


class Caller:
    """The process, seen from the drill."""

    def __init__(self, home: Path, url: str, broker: str, name: str, plan: Sequence[Any]) -> None:
        self.history_path = home / f"{name}.jsonl"
        plan_path = home / f"{name}.plan"
        plan_path.write_text("".join(json.dumps(line._asdict()) + "\n" for line in plan))
        command = [sys.executable, "-m", "penstock_producer.drill_client", "--home", str(home)]
        command += ["--plan", str(plan_path), "--history", str(self.history_path)]
        addresses = {"PENSTOCK_LEDGER_URL": url, "PENSTOCK_BROKER_URL": broker}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **addresses},
        )

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def say(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()

    def end(self, words: str = "finish") -> History:
        """Its history, once it has ended well."""
        self.say(words)
        assert self.process.wait(BOUND_S) == 0, self.errors()
        assert self.errors() == ""
        return self.history

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    @property
    def history(self) -> History:
        return read_history([self.history_path])


@contextmanager
def calling(
    home: Path, url: str, broker: str, *plans: Sequence[PlanLine]
) -> Iterator[list[Caller]]:
    callers = [
        Caller(home, url, broker, f"client-{number}", plan) for number, plan in enumerate(plans)
    ]
    try:
        for caller in callers:
            caller.wait_ready()
        yield callers
    finally:
        for caller in callers:
            with caller.process:
                caller.process.kill()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def no_redis() -> str:
    """Jobs are accepted without it, and the scripted worker needs none."""
    return f"redis://127.0.0.1:{free_port()}/0"


def a_line(number: int, kind: str = "plain", *, at_s: float = 0.0, **changes: Any) -> PlanLine:
    line = PlanLine(at_s, f"k-{number}", f"drill {number} tokens=3", 3, kind)
    return line._replace(**changes)


def change(url: str, statement: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(statement)
        connection.commit()


def digest(prompt: str) -> str:
    return sha256(f"re: {prompt}".encode()).hexdigest()


def test_each_submit_each_answer_and_each_end_is_written_down(
    home: Path, sqlite_url: str, redis_url: str
) -> None:
    plan = [a_line(number, at_s=number / 100) for number in range(20)]
    plan.append(a_line(20, at_s=0.2, key=None))
    with calling(home, sqlite_url, redis_url, plan) as [caller], working(sqlite_url) as begin:
        begin.set()
        caller.say("go")
        history = caller.end()
    assert [line.prompt for line in history.submitted] == [line.prompt for line in plan]
    assert [line.key for line in history.accepted] == [line.key for line in plan]
    assert all(line.is_new for line in history.accepted)
    assert (history.refused, history.unsure, history.troubles) == ([], [], [])
    expected = {line.job_id: digest(line.prompt) for line in history.accepted}
    for reading in (1, 2):
        some = [seen for seen in history.seen if seen.reading == reading]
        assert {seen.job_id: seen.digest for seen in some} == expected
        assert {(seen.status, seen.charge, seen.attempts) for seen in some} == {
            ("succeeded", "0.000000001", 1)
        }


def test_nothing_is_submitted_before_its_time(home: Path, sqlite_url: str, no_redis: str) -> None:
    plan = [a_line(0), a_line(1, at_s=600)]
    with calling(home, sqlite_url, no_redis, plan) as [caller]:
        assert caller.history.submitted == []
        caller.say("go")
        eventually(lambda: caller.history.accepted)
        history = caller.end("give up")
    assert [line.key for line in history.submitted] == ["k-0"]


def test_twins_get_one_job_a_conflict_and_what_is_invalid_get_none(
    home: Path, sqlite_url: str, no_redis: str
) -> None:
    first = [
        a_line(0),
        a_line(0, "conflict", prompt="drill another tokens=3"),
        a_line(1, "invalid", sampling={"temperature": 9.0}),
        a_line(2, "invalid", max_tokens=10**6),
    ]
    plans = (first, [a_line(0, "twin")])
    with calling(home, sqlite_url, no_redis, *plans) as callers, working(sqlite_url) as begin:
        begin.set()
        for caller in callers:
            caller.say("go")
        mine, its = (caller.end() for caller in callers)
    [job_id] = {line.job_id for line in (*mine.accepted, *its.accepted)}
    assert sorted([mine.accepted[0].is_new, its.accepted[0].is_new]) == [False, True]
    assert [(line.kind, line.code) for line in sorted(mine.refused)] == [
        ("conflict", "idempotency_conflict"),
        ("invalid", "invalid_request"),
        ("invalid", "context_too_long"),
    ]
    assert {seen.job_id for seen in (*mine.seen, *its.seen)} == {job_id}


def test_a_ledger_that_is_away_for_a_while_costs_nothing_but_time(
    home: Path, sqlite_url: str, no_redis: str
) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    plan = [a_line(number) for number in range(100)]
    with calling(home, sqlite_url, no_redis, plan) as [caller]:
        away = path.with_suffix(".away")
        path.rename(away)
        caller.say("go")
        eventually(lambda: len(caller.history.unsure) > 2 * 64)
        assert not caller.history.accepted
        away.rename(path)
        eventually(lambda: len(caller.history.accepted) == 100)
        with working(sqlite_url) as begin:
            begin.set()
            history = caller.end()
    assert {line.code for line in history.unsure} == {"ledger_unavailable"}
    assert [line.key for line in history.accepted] == [line.key for line in plan]
    assert not history.troubles
    assert len({seen.job_id for seen in history.seen if seen.status == "succeeded"}) == 100


def test_what_has_no_key_is_not_repeated(home: Path, sqlite_url: str, no_redis: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with calling(home, sqlite_url, no_redis, [a_line(0, key=None)]) as [caller]:
        away = path.with_suffix(".away")
        path.rename(away)
        caller.say("go")
        eventually(lambda: caller.history.unsure)
        away.rename(path)
        history = caller.end()
    assert (len(history.submitted), history.accepted) == (1, [])


def test_jobs_that_do_not_end_are_given_up_and_read_a_last_time(
    home: Path, sqlite_url: str, no_redis: str
) -> None:
    def some_fail(claim: Claim) -> Settlement | None:
        if "drill 0 " in claim.request.question:
            return Settlement(claim, JobState.FAILED, 0, error="no")
        return echo(claim) if "drill 1 " in claim.request.question else None

    plan = [a_line(number) for number in range(3)]
    with (
        calling(home, sqlite_url, no_redis, plan) as [caller],
        working(sqlite_url, some_fail) as begin,
    ):
        begin.set()
        caller.say("go")
        caller.say("finish")
        eventually(lambda: len(caller.history.seen) == 2)
        assert caller.process.poll() is None
        history = caller.end("give up")
    last = [(seen.status, seen.digest) for seen in history.seen if seen.reading == 2]
    assert last == [("failed", None), ("succeeded", digest(plan[1].prompt)), ("running", None)]


def test_a_job_that_vanished_is_seen_to_be_missing(
    home: Path, sqlite_url: str, no_redis: str
) -> None:
    with calling(home, sqlite_url, no_redis, [a_line(0)]) as [caller]:
        caller.say("go")
        eventually(lambda: caller.history.accepted)
        change(sqlite_url, "DELETE FROM jobs")
        history = caller.end("give up")
    assert [(seen.status, seen.reading) for seen in history.seen] == [("missing", 2)]


def test_an_error_that_is_no_outage_is_written_down_and_survived(
    home: Path, sqlite_url: str, no_redis: str
) -> None:
    with calling(home, sqlite_url, no_redis, [a_line(0)]) as [caller]:
        change(sqlite_url, "ALTER TABLE jobs RENAME TO others")
        caller.say("go")
        eventually(lambda: caller.history.troubles)
        change(sqlite_url, "ALTER TABLE others RENAME TO jobs")
        eventually(lambda: caller.history.accepted)
        history = caller.end("give up")
    trouble = history.troubles[0]
    assert (trouble.doing, trouble.error.split(":")[0]) == ("submit", "SchemaMismatch")
    assert history.unsure[0].code == "schema_mismatch"


def test_without_its_drill_it_ends_and_ctrl_c_is_for_the_drill(
    home: Path, sqlite_url: str, no_redis: str
) -> None:
    with calling(home, sqlite_url, no_redis, [a_line(0, at_s=600)]) as [caller]:
        caller.process.send_signal(signal.SIGINT)
        caller.say("go")
        assert caller.process.stdin is not None
        caller.process.stdin.close()
        assert caller.process.wait(BOUND_S) == 0
        assert caller.history.submitted == []
