"""Each fault of the drill, done to real processes, a real Redis and a real ledger."""

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from penstock_shared import clock
from penstock_shared.ledger import sweeping
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from penstock_shared.stack.processes import children_of
from penstock_workers.drill.schedule import FaultKind
from tests.acceptance.command import wait_until
from tests.examples import accept_some, claim_some
from tests.integration.faults.staging import SOON_S, SmallStage, ends, is_frozen, make
from tests.integration.test_processes import is_gone
from tests.services import PostgresServer


def test_a_killed_worker_is_gone_and_the_drill_knows_which_and_when(stage: SmallStage) -> None:
    before = clock.now_ms()
    fault = make(stage, FaultKind.KILL_WORKER, 1)
    assert fault.begin()
    ends(stage.workers[1])
    assert stage.workers[0].is_running
    assert fault.target == "worker-1"
    assert fault.hurt is not None
    assert fault.hurt.worker_id == "drill-1"
    assert before <= fault.hurt.at_ms <= clock.now_ms()


def test_a_worker_without_a_sign_of_life_is_left_alone(stage: SmallStage) -> None:
    stage.silent.add(0)
    fault = make(stage, FaultKind.KILL_WORKER)
    assert not fault.begin()
    assert fault.hurt is None
    assert stage.workers[0].is_running
    stage.silent.clear()
    assert fault.begin()


def test_a_killed_engine_is_the_workers_own(stage: SmallStage) -> None:
    fault = make(stage, FaultKind.KILL_ENGINE, 1)
    assert fault.begin()
    ends(stage.engines[1])
    assert all(child.is_running for child in [*stage.workers, stage.engines[0]])
    assert fault.hurt is not None
    assert fault.hurt.worker_id == "drill-1"


def test_the_sweeper_is_the_worker_that_the_ledger_names(
    stage: SmallStage, ledger: Database
) -> None:
    fault = make(stage, FaultKind.KILL_SWEEPER)
    assert not fault.begin()
    sweeping.take_duty(ledger, "drill-of-yesterday", now_ms=0, until_ms=1)
    assert not fault.begin()
    sweeping.take_duty(ledger, "drill-1", now_ms=2, until_ms=3)
    assert fault.begin()
    ends(stage.workers[1])
    assert stage.workers[0].is_running
    assert fault.target == "worker-1"


def test_a_worker_is_frozen_with_a_job_and_thaws(stage: SmallStage, ledger: Database) -> None:
    fault = make(stage, FaultKind.FREEZE_WORKER)
    [mine, other] = accept_some(ledger, 2)
    claim_some(ledger, [other], worker_id="drill-1")
    assert not fault.begin()
    claim_some(ledger, [mine], worker_id="drill-0")
    assert fault.begin()
    wait_until(lambda: is_frozen(stage.workers[0]), SOON_S)
    fault.end()
    wait_until(lambda: not is_frozen(stage.workers[0]), SOON_S)
    assert stage.workers[0].is_running


@pytest.mark.parametrize("kind", [FaultKind.TERM_THEN_KILL, FaultKind.LOSE_MESSAGE])
def test_a_worker_is_killed_when_the_fault_ends(stage: SmallStage, kind: FaultKind) -> None:
    fault = make(stage, kind)
    assert fault.begin()
    if kind is FaultKind.LOSE_MESSAGE:
        wait_until(lambda: is_frozen(stage.workers[0]), SOON_S)
    assert stage.workers[0].is_running
    fault.end()
    ends(stage.workers[0])


def test_what_took_the_place_of_a_worker_is_spared(stage: SmallStage) -> None:
    fault = make(stage, FaultKind.TERM_THEN_KILL)
    assert fault.begin()
    stage.workers[0].kill()
    stage.workers[0].start()
    fault.end()
    fault.end()
    assert stage.workers[0].is_running


def test_redis_is_killed_and_stays_down_until_the_end(stage: SmallStage) -> None:
    fault = make(stage, FaultKind.KILL_REDIS)
    assert fault.begin()
    assert not stage.redis.child.is_running
    assert stage.held_down == ["redis"]
    assert not make(stage, FaultKind.KILL_REDIS).begin()
    fault.end()
    assert stage.held_down == []


def test_redis_forgets_everything(stage: SmallStage) -> None:
    with Redis.from_url(stage.redis.url) as redis:
        redis.set("something", "else")
        assert make(stage, FaultKind.FLUSH_REDIS).begin()
        assert redis.dbsize() == 0


@pytest.mark.parametrize("kind", [FaultKind.FLUSH_REDIS, FaultKind.DROP_CONNECTIONS])
def test_nothing_can_be_done_to_a_redis_that_is_down(stage: SmallStage, kind: FaultKind) -> None:
    stage.redis.child.kill()
    assert not make(stage, kind).begin()


def test_connections_to_redis_break(stage: SmallStage) -> None:
    with (
        Redis.from_url(stage.redis.url, single_connection_client=True, retry=None) as redis,
        redis.pubsub() as listener,
    ):
        listener.subscribe("anything")
        listener.get_message(timeout=SOON_S)
        before = redis.client_id()
        assert make(stage, FaultKind.DROP_CONNECTIONS).begin()
        with pytest.raises(RedisError):
            redis.client_id()
        assert redis.client_id() != before
        assert redis.pubsub_numsub("anything") == [(b"anything", 0)]


def test_connections_to_postgresql_break_but_only_those_to_the_ledger(
    stage: SmallStage,
    postgres: PostgresServer,
    postgres_url: str,
    make_settings: Callable[..., Settings],
) -> None:
    stage.postgres = postgres
    stage.settings = make_settings(ledger_url=postgres_url, broker_url=stage.redis.url)
    with (
        psycopg.connect(postgres.url("postgres")) as other,
        closing(psycopg.connect(postgres_url)) as connection,
    ):
        assert make(stage, FaultKind.DROP_CONNECTIONS).begin()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        assert other.execute("SELECT 1").fetchone() == (1,)


def test_sqlite_can_be_read_but_not_written_while_somebody_holds_the_lock(
    stage: SmallStage, ledger: Database
) -> None:
    fault = make(stage, FaultKind.STOP_DATABASE)
    [job_id] = accept_some(ledger)
    assert fault.begin()
    with closing(sqlite3.connect(str(ledger.url.database), timeout=0)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            connection.execute("BEGIN IMMEDIATE")
        assert connection.execute("SELECT id FROM jobs").fetchone() == (job_id,)
    fault.end()
    fault.end()
    assert len(accept_some(ledger)) == 1


def test_postgresql_is_killed_and_stays_down_until_the_end(stage: SmallStage) -> None:
    with PostgresServer() as server:
        stage.postgres = server
        assert server.child.pid is not None
        inside = children_of(server.child.pid)
        fault = make(stage, FaultKind.STOP_DATABASE)
        assert fault.begin()
        assert not server.answers()
        assert stage.held_down == ["postgres"]
        assert not make(stage, FaultKind.STOP_DATABASE).begin()
        fault.end()
        assert stage.held_down == []
        wait_until(lambda: all(map(is_gone, inside)), SOON_S)
        server.start()
        assert server.answers()


def test_a_frozen_worker_that_was_killed_meanwhile_needs_no_thaw(
    stage: SmallStage, ledger: Database
) -> None:
    claim_some(ledger, accept_some(ledger), worker_id="drill-0")
    fault = make(stage, FaultKind.FREEZE_WORKER)
    assert fault.begin()
    pid = stage.worker_pid(0)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    ends(stage.workers[0])
    fault.end()
