"""The stack of the drill: every part of it may be killed, and every job ends all the same."""

import json
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from pathlib import Path

import pytest

from penstock_producer import Client, JobState, Result, Unavailable, load_settings
from penstock_shared.errors import SettingsError
from penstock_workers.drill import script
from penstock_workers.drill.services import has_jobs
from penstock_workers.drill.stack import DrillStack, LedgerKind
from tests.acceptance.command import wait_until

WAIT_S = 200
LOCK_S = 5


@contextmanager
def running(home: Path, ledger: LedgerKind, without: Sequence[str] = ()) -> Iterator[DrillStack]:
    stack = DrillStack(home, workers=2, ledger=ledger, without=without).start()
    try:
        stack.wait_ready(WAIT_S)
        yield stack
    finally:
        stack.stop()


@pytest.fixture(autouse=True)
def _another_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that the variables name must never be met by a drill."""
    monkeypatch.setenv("PENSTOCK_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("PENSTOCK_LEDGER_URL", "sqlite:////nowhere/ledger.db")
    monkeypatch.setenv("PENSTOCK_HOME", "/nowhere")
    monkeypatch.setenv("PENSTOCK_CONFIG", "/nowhere/penstock.toml")


@pytest.fixture(params=["sqlite", "postgresql"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DrillStack]:
    with running(tmp_path / "home", request.param) as stack:
        yield stack


class Load:
    """Jobs in the stack, and what has to come of them."""

    def __init__(self, stack: DrillStack, client: Client) -> None:
        self._stack = stack
        self._client = client
        self._wanted: dict[str, str] = {}

    def add(self, count: int = 20, tokens: int = 40, what: str = "") -> None:
        """Submit some more."""
        first = len(self._wanted)
        prompts = [f"drill {first + number:06d} tokens={tokens}{what}" for number in range(count)]
        while True:
            with suppress(Unavailable):
                jobs = self._client.submit_many(prompts, max_tokens=tokens)
                break
            self._stack.tend()
        self._wanted |= {j.id: script.answer_of(p) for j, p in zip(jobs, prompts, strict=True)}

    @property
    def ids(self) -> set[str]:
        """All jobs so far."""
        return set(self._wanted)

    def charges(self) -> dict[str, Decimal | None]:
        """What each job costs by now."""
        results = self._client.fetch_many(list(self._wanted))
        return {job_id: result.charge_usd for job_id, result in results.items()}

    def ends(self) -> dict[JobState, int]:
        """Tend the stack until all have ended; how often each end was met. Answers are right."""
        results: dict[str, Result] = {}

        def all_ended() -> bool:
            self._stack.tend()
            with suppress(Unavailable):
                results.update(self._client.fetch_many(list(self._wanted)))
            return len(results) == len(self._wanted) and all(
                result.status.is_terminal for result in results.values()
            )

        wait_until(all_ended, WAIT_S)
        for job_id, result in results.items():
            if result.status is JobState.SUCCEEDED:
                assert result.text == self._wanted[job_id]
        return dict(Counter(result.status for result in results.values()))


@pytest.fixture
def load(stack: DrillStack) -> Iterator[Load]:
    with Client(stack.settings) as client:
        yield Load(stack, client)


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_it_knows_no_stack_but_itself(stack: DrillStack) -> None:
    known = load_settings()
    assert known == stack.settings == load_settings(stack.home)
    assert known.home == stack.home
    assert known.broker == stack.redis.url
    assert list(known.tiers) == [script.TIER]
    assert (known.worker.lease_s, known.worker.max_attempts) == (4, 3)
    assert (stack.home / "penstock.toml").stat().st_mode & 0o777 == 0o600


def test_whatever_is_killed_every_job_ends_and_nothing_is_left(
    stack: DrillStack, load: Load
) -> None:
    load.add(100, tokens=60)
    kill(stack.worker_pid(0))
    engine = stack.engine_pid(1)
    kill(engine)
    assert load.ends() == {JobState.SUCCEEDED: 100}
    wait_until(lambda: stack.tend() is not None and all(w.is_ready for w in stack.workers), WAIT_S)
    load.add()
    stack.redis.child.kill()
    load.add()
    assert load.ends() == {JobState.SUCCEEDED: 140}
    if stack.postgres is not None:
        load.add()
        stack.postgres.kill()
        assert load.ends() == {JobState.SUCCEEDED: 160}
    wait_until(lambda: None not in names(stack), WAIT_S)
    assert all(name and name.startswith(f"{script.TIER}-") for name in names(stack))
    stack.stop_workers()
    assert stack.tend() == []
    stack.stop()
    wait_until(lambda: stack.left_behind() == [], WAIT_S)


def test_what_is_held_down_stays_down_until_it_is_let_up(stack: DrillStack) -> None:
    stack.hold_down("redis")
    stack.redis.child.kill()
    assert stack.tend() == []
    stack.let_up("redis")
    wait_until(lambda: stack.tend() == ["redis"], WAIT_S)
    assert stack.redis.child.is_running
    with pytest.raises(SettingsError, match="no part 'moon'"):
        stack.hold_down("moon")


def test_poison_ends_dead_and_the_refused_fail(stack: DrillStack, load: Load) -> None:
    load.add(1, what=" poison")
    load.add(1, what=" refused")
    assert load.ends() == {JobState.DEAD: 1, JobState.FAILED: 1}


def test_a_frozen_worker_does_not_keep_the_stack_from_stopping(stack: DrillStack) -> None:
    pid = stack.worker_pid(0)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert pid in stack.left_behind()
    stack.stop()
    wait_until(lambda: stack.left_behind() == [], WAIT_S)


def test_every_run_is_written_down(stack: DrillStack, load: Load) -> None:
    load.add(3)
    assert load.ends() == {JobState.SUCCEEDED: 3}
    lines = [json.loads(line) for line in stack.runs.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 6
    assert len({line["job_id"] for line in lines}) == 3
    assert sum(line.get("finished", False) for line in lines) == 3


def test_without_fencing_a_frozen_worker_changes_what_jobs_cost(tmp_path: Path) -> None:
    with (
        running(tmp_path / "home", "sqlite", ["fencing"]) as stack,
        Client(stack.settings) as client,
    ):
        wait_until(lambda: None not in names(stack), WAIT_S)
        load, pid, name = Load(stack, client), stack.worker_pid(0), stack.worker_id(0)
        assert pid is not None
        assert name is not None

        def is_frozen_with_work() -> bool:
            load.add(60, tokens=300)
            wait_until(lambda: load.ids <= begun(stack.runs), WAIT_S)
            os.kill(pid, signal.SIGSTOP)
            if can_write(stack) and has_jobs(stack.settings.ledger, name):
                return True
            os.kill(pid, signal.SIGCONT)
            load.ends()
            return False

        wait_until(is_frozen_with_work, WAIT_S)
        assert load.ends().keys() == {JobState.SUCCEEDED}
        before = load.charges()
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: load.charges() != before, WAIT_S)


def begun(runs: Path) -> set[str]:
    """Ids in the file of runs."""
    lines = runs.read_text(encoding="utf-8").splitlines() if runs.exists() else []
    return {json.loads(line)["job_id"] for line in lines}


def names(stack: DrillStack) -> list[str | None]:
    """Under which names the workers claim."""
    return [stack.worker_id(number) for number in range(len(stack.workers))]


def can_write(stack: DrillStack) -> bool:
    """True unless somebody keeps SQLite's write lock: one that was frozen with it never ends."""
    path = stack.home / "ledger.db"
    with closing(sqlite3.connect(path, timeout=LOCK_S, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True
