"""Concurrent submits travel together, and each comes back with its own outcome."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from penstock_producer import (
    AsyncClient,
    AsyncJob,
    ContextTooLong,
    InvalidRequest,
    JobNotFound,
    JobState,
    ResultTimeout,
    Settings,
)
from penstock_shared.ledger import accepting
from tests.scripted import working

BOUND_S = 60.0
Use = Callable[[AsyncClient], Coroutine[Any, Any, Any]]


@pytest.fixture
def settings(make_settings: Callable[..., Settings], ledger_url: str, redis_url: str) -> Settings:
    return make_settings(ledger_url=ledger_url, broker_url=redis_url)


@pytest.fixture
def inserts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of every insert."""
    sizes: list[int] = []
    accept = accepting.accept

    def counted(database: Any, drafts: Any, *rest: Any, **more: Any) -> Any:
        sizes.append(len(drafts))
        return accept(database, drafts, *rest, **more)

    monkeypatch.setattr(accepting, "accept", counted)
    return sizes


def run(settings: Settings, use: Use) -> Any:
    async def main() -> Any:
        async with AsyncClient(settings) as client:
            return await asyncio.wait_for(use(client), BOUND_S)

    return asyncio.run(main())


async def submit_all(client: AsyncClient, prompts: list[str], **fields: Any) -> list[Any]:
    submits = (client.submit(prompt, **fields) for prompt in prompts)
    return list(await asyncio.gather(*submits, return_exceptions=True))


def test_forty_concurrent_submits_are_three_inserts(settings: Settings, inserts: list[int]) -> None:
    prompts = [f"question {number}" for number in range(40)]
    jobs = run(settings, lambda client: submit_all(client, prompts))
    assert sorted(inserts) == [8, 16, 16]  # each in a thread of its own
    assert len({job.id for job in jobs}) == 40


def test_each_caller_gets_the_answer_to_its_own_question(settings: Settings) -> None:
    async def ask(client: AsyncClient) -> list[str | None]:
        jobs = await submit_all(client, [f"question {number}" for number in range(40)])
        return [result.text for result in await asyncio.gather(*(job.result(30) for job in jobs))]

    with working(settings.ledger) as begin:
        begin.set()
        texts = run(settings, ask)
    assert texts == [f"re: question {number}" for number in range(40)]


def test_a_bad_request_among_good_ones_hits_its_caller_alone(
    settings: Settings, inserts: list[int]
) -> None:
    async def ask(client: AsyncClient) -> list[Any]:
        good = [client.submit(f"question {number}") for number in range(10)]
        bad = [client.submit("  "), client.submit("long", max_tokens=100_000)]
        return list(await asyncio.gather(*good, *bad, return_exceptions=True))

    *jobs, empty, too_long = run(settings, ask)
    assert all(isinstance(job, AsyncJob) for job in jobs)
    assert len({job.id for job in jobs}) == 10
    assert isinstance(empty, InvalidRequest)
    assert isinstance(too_long, ContextTooLong)
    assert sum(inserts) == 10


def test_the_same_key_twice_in_one_group_is_one_job(settings: Settings) -> None:
    first, again = run(
        settings, lambda client: submit_all(client, ["same"] * 2, idempotency_key="k")
    )
    assert first.id == again.id
    assert {first.is_new, again.is_new} == {True, False}


def test_what_is_under_way_when_the_client_closes_is_accepted(
    settings: Settings, inserts: list[int]
) -> None:
    async def main() -> AsyncJob:
        async with AsyncClient(settings) as client:
            submitting = asyncio.create_task(client.submit("question"))
            await asyncio.sleep(0)
        return await submitting

    assert asyncio.run(main()).is_new
    assert inserts == [1]


def test_results_come_as_the_jobs_end(settings: Settings) -> None:
    async def ask(client: AsyncClient) -> set[str | None]:
        jobs = await client.submit_many([f"question {number}" for number in range(20)])
        return {result.text async for result in client.as_completed(jobs, timeout=30)}

    with working(settings.ledger) as begin:
        begin.set()
        texts = run(settings, ask)
    assert texts == {f"re: question {number}" for number in range(20)}


def test_a_wait_that_is_over_leaves_the_job_alone(settings: Settings) -> None:
    async def ask(client: AsyncClient) -> JobState:
        job = await client.submit("question")
        with pytest.raises(ResultTimeout, match=f"{job.id}.*it goes on"):
            await job.result(0.05)
        assert await job.status() is JobState.QUEUED
        return await job.cancel()

    assert run(settings, ask) is JobState.CANCELLED


def test_waiting_for_all_ends_when_its_time_is_over(settings: Settings) -> None:
    async def ask(client: AsyncClient) -> None:
        jobs = await client.submit_many(["one", "two"])
        with pytest.raises(ResultTimeout):
            [result async for result in client.as_completed(jobs, timeout=0.05)]

    run(settings, ask)


def test_an_unknown_job_is_not_found(settings: Settings) -> None:
    async def ask(client: AsyncClient) -> None:
        with pytest.raises(JobNotFound, match="no-such-job"):
            await client.result("no-such-job", 30)

    run(settings, ask)
