"""What happens when things die: nothing is lost."""

import signal
from typing import Any

import psutil
from redis import Redis

from penstock_producer import Client, JobState, load_settings
from tests.acceptance.command import Home, wait_until

SLOW = {"max_tokens": 400, "ignore_eos": True, "cache": False}


def worker_sign(home: Home, tier: str) -> dict[str, Any]:
    """The sign of life of a tier's worker."""
    facts = home.json("health", "--tier", tier, command="penstock-worker")
    [sign] = [worker["sign"] for worker in facts["workers"] if worker["healthy"]]
    return dict(sign)


def worker_of(home: Home, tier: str) -> psutil.Process:
    """The process of a tier's worker."""
    return psutil.Process(worker_sign(home, tier)["pid"])


def engine_of(worker: psutil.Process) -> psutil.Process:
    [engine] = [c for c in worker.children() if "penstock_workers.engine.host" in c.cmdline()]
    return engine


def open_jobs(client: Client, tier: str, count: int) -> list[str]:
    prompts = [f"Tell a long story number {number}." for number in range(count)]
    jobs = client.submit_many(prompts, tier=tier, **SLOW)
    ids = [job.id for job in jobs]
    wait_until(
        lambda: any(r.status is JobState.RUNNING for r in client.fetch_many(ids).values()), 60
    )
    return ids


def all_succeed(client: Client, ids: list[str], timeout_s: float = 200) -> None:
    jobs = [client.job(job_id) for job_id in ids]
    ended = list(client.as_completed(jobs, timeout=timeout_s))
    assert [r.error for r in ended if r.status is not JobState.SUCCEEDED] == []
    assert sorted(r.job_id for r in ended) == sorted(ids)


def test_a_killed_worker_loses_nothing_and_leaves_no_engine_behind(home: Home) -> None:
    with Client(load_settings(home.folder)) as client:
        worker = worker_of(home, "small")
        engine = engine_of(worker)
        ids = open_jobs(client, "small", 40)
        worker.send_signal(signal.SIGKILL)
        psutil.wait_procs([engine], timeout=5)
        assert not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE
        all_succeed(client, ids)
        assert any(r.attempts == 2 for r in client.fetch_many(ids).values())


def test_a_broker_that_forgot_everything_loses_no_job(home: Home) -> None:
    with Client(load_settings(home.folder)) as client:
        ids = open_jobs(client, "small", 150)
        with Redis.from_url(home.stack["broker_url"]) as redis:
            redis.flushall()
        all_succeed(client, ids)
        assert {r.attempts for r in client.fetch_many(ids).values()} == {1}


def test_a_killed_engine_ends_its_worker_and_the_jobs_run_again(home: Home) -> None:
    with Client(load_settings(home.folder)) as client:
        worker = worker_of(home, "small")
        ids = open_jobs(client, "small", 20)
        engine_of(worker).send_signal(signal.SIGKILL)
        all_succeed(client, ids)
        assert not worker.is_running()


def test_a_stopped_worker_gives_unfinished_jobs_back_without_counting_an_attempt(
    home: Home,
) -> None:
    with Client(load_settings(home.folder)) as client:
        ids = open_jobs(client, "large", 90)
        worker_of(home, "large").send_signal(signal.SIGTERM)
        all_succeed(client, ids)
        assert {r.attempts for r in client.fetch_many(ids).values()} == {1}


def test_a_deadline_ends_a_running_job(home: Home) -> None:
    with Client(load_settings(home.folder)) as client:
        job = client.submit("Tell a story.", tier="large", max_tokens=7000, ignore_eos=True,
                            deadline=2.0, cache=False)  # fmt: skip
        [ended] = client.as_completed([job], timeout=60)
        assert ended.status is JobState.EXPIRED
        assert ended.text is None
        assert ended.charge_usd is None


def test_a_cancelled_job_leaves_the_engine(home: Home) -> None:
    with Client(load_settings(home.folder)) as client:
        job = client.submit("Tell a story.", tier="large", max_tokens=7000, ignore_eos=True,
                            cache=False)  # fmt: skip
        wait_until(lambda: job.status() is JobState.RUNNING, 60)
        job.cancel()
        [ended] = client.as_completed([job], timeout=30)
        assert ended.status is JobState.CANCELLED
        assert worker_sign(home, "large")["in_flight"] == 0
