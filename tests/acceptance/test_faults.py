"""What happens when things die: nothing is lost."""

import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from redis import Redis

from penstock_producer import Client, JobState, load_settings
from tests.acceptance.command import Home, wait_until
from tests.acceptance.victims import (
    ENDS_S,
    Books,
    all_are,
    all_succeed,
    engine_of,
    engines_of,
    frozen,
    is_gone,
    wait_boarded,
    worker_of,
    worker_sign,
)

SLOW: dict[str, Any] = {"max_tokens": 400, "ignore_eos": True, "cache": False}
LONG: dict[str, Any] = {"max_tokens": 7000, "ignore_eos": True, "cache": False}
IN_THE_ENGINE = 8


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    with Client(load_settings(home.folder)) as client:
        yield client


@pytest.fixture
def books(home: Home) -> Iterator[Books]:
    books = Books(home)
    yield books
    books.close()


def submit_stories(client: Client, tier: str, count: int, **options: Any) -> list[str]:
    prompts = [f"Tell a long story number {number}." for number in range(count)]
    return [job.id for job in client.submit_many(prompts, tier=tier, **{**SLOW, **options})]


def running(client: Client, ids: list[str]) -> int:
    return [r.status for r in client.fetch_many(ids).values()].count(JobState.RUNNING)


def open_jobs(client: Client, tier: str, count: int) -> list[str]:
    ids = submit_stories(client, tier, count)
    wait_until(lambda: running(client, ids) > 1, ENDS_S)  # what is lost alone loses an attempt
    return ids


def test_a_killed_worker_loses_nothing_and_leaves_no_engine_behind(
    home: Home, client: Client
) -> None:
    worker = worker_of(home, "small")
    engine = engine_of(worker)
    ids = open_jobs(client, "small", 40)
    worker.send_signal(signal.SIGKILL)
    psutil.wait_procs([engine], timeout=ENDS_S)
    assert is_gone(engine)
    all_succeed(client, ids)
    assert {r.attempts for r in client.fetch_many(ids).values()} == {1}  # lost together
    assert engines_of(home) == {engine_of(worker_of(home, t)).pid for t in ("small", "large")}


def test_a_broker_that_forgot_everything_loses_no_job(home: Home, client: Client) -> None:
    ids = open_jobs(client, "small", 150)
    with Redis.from_url(home.stack["broker_url"]) as redis:
        redis.flushall()
    all_succeed(client, ids)
    assert {r.attempts for r in client.fetch_many(ids).values()} == {1}


def test_a_killed_engine_gives_all_its_jobs_back_and_no_attempt_counts(
    home: Home, client: Client, books: Books
) -> None:
    worker = worker_of(home, "large")
    engine = engine_of(worker)
    with frozen(engine):  # so that nothing has ended when it dies
        ids = submit_stories(client, "large", IN_THE_ENGINE, max_tokens=1200)
        wait_boarded(client, "large", ids)
        engine.send_signal(signal.SIGKILL)
        wait_until(lambda: all_are(client, ids, JobState.QUEUED), ENDS_S)
    all_succeed(client, ids)
    assert {r.attempts for r in client.fetch_many(ids).values()} == {1}
    attempts = books.attempts(ids)
    assert [outcome for outcome, _ in attempts] == (
        ["lost"] * IN_THE_ENGINE + ["succeeded"] * IN_THE_ENGINE
    )
    assert all(
        "the engine died" in str(error) and "not counted" in str(error)
        for _, error in attempts[:IN_THE_ENGINE]
    )
    assert books.charged(ids) == books.answered(ids) == sorted(ids)
    assert is_gone(worker)
    assert worker_of(home, "large").pid != worker.pid
    assert home.json("health", command="penstock-worker")["ok"]


def test_a_stopped_worker_gives_unfinished_jobs_back_without_counting_an_attempt(
    home: Home, client: Client
) -> None:
    ids = open_jobs(client, "large", 90)
    worker_of(home, "large").send_signal(signal.SIGTERM)
    all_succeed(client, ids)
    assert {r.attempts for r in client.fetch_many(ids).values()} == {1}


def test_what_is_short_ends_in_the_drain_and_what_is_long_leaves_no_trace_but_its_return(
    home: Home, client: Client, books: Books
) -> None:
    worker = worker_of(home, "large")
    engine = engine_of(worker)
    tenant: dict[str, Any] = {"tenant": "who-sees-a-drain", "cache": True}
    with frozen(engine):  # so that nothing has ended when the drain begins
        places = ("Peru", "Kenya", "Norway", "Cuba")
        questions = [f"What is the capital of {place}?" for place in places]
        short = [j.id for j in client.submit_many(questions, tier="large", max_tokens=40, **tenant)]
        long = submit_stories(client, "large", 4, max_tokens=5000, **tenant)
        wait_until(lambda: all_are(client, [*short, *long], JobState.RUNNING), ENDS_S)
        worker.send_signal(signal.SIGTERM)
    wait_until(lambda: is_gone(worker), ENDS_S)
    assert all_are(client, short, JobState.SUCCEEDED)
    assert all_are(client, long, JobState.QUEUED)
    assert {r.attempts for r in client.fetch_many(long).values()} == {0}
    everything = [*short, *long]
    assert books.answered(everything) == books.charged(everything) == sorted(short)
    assert books.cached("who-sees-a-drain") == sorted(questions)
    all_succeed(client, long)
    ended = client.fetch_many(everything).values()
    assert {r.attempts for r in ended} == {1}
    assert {r.completion_tokens for r in ended if r.job_id in long} == {5000}
    outcomes = [outcome for outcome, _ in books.attempts(long)]
    assert outcomes == ["released"] * len(long) + ["succeeded"] * len(long)
    assert books.charged(everything) == sorted(everything)
    assert books.cached("who-sees-a-drain") == sorted(questions)


def test_a_deadline_ends_a_running_job(client: Client) -> None:
    job = client.submit("Tell a story.", tier="large", deadline=2.0, **LONG)
    [ended] = client.as_completed([job], timeout=ENDS_S)
    assert ended.status is JobState.EXPIRED
    assert ended.text is None
    assert ended.charge_usd is None


def test_a_cancelled_job_leaves_the_engine_and_is_not_charged(
    home: Home, client: Client, books: Books
) -> None:
    # The sign of life is a moment old, and may tell of the job before.
    wait_until(lambda: worker_sign(home, "large")["in_flight"] == 0, ENDS_S)
    job = client.submit("Tell a story.", tier="large", **LONG)
    wait_until(lambda: worker_sign(home, "large")["in_flight"] == 1, ENDS_S)
    assert job.cancel() is JobState.RUNNING
    wait_until(lambda: worker_sign(home, "large")["in_flight"] == 0, ENDS_S)
    [ended] = client.as_completed([job], timeout=ENDS_S)
    assert ended.status is JobState.CANCELLED  # from an engine that went on, it has its answer
    assert ended.text is None
    assert ended.charge_usd is None
    assert [outcome for outcome, _ in books.attempts([job.id])] == ["cancelled"]
    assert books.answered([job.id]) == books.charged([job.id]) == []
    shown = home.json("health", "--tier", "large", command="penstock-worker")
    assert [worker["sign"]["in_flight"] for worker in shown["workers"]] == [0]
