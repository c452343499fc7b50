"""The client: what is accepted comes back, whatever becomes of it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from types import SimpleNamespace

import pytest

from penstock_producer import (
    Client,
    IdempotencyConflict,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobState,
    LedgerUnavailable,
    Request,
    ResultTimeout,
    SchemaMismatch,
    Settings,
    Unavailable,
    UnknownTier,
)
from penstock_producer import client as client_module
from penstock_shared.ledger import accepting
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.settling import Settlement
from penstock_shared.stack.processes import free_port
from tests.examples import Clock
from tests.scripted import echo, working

BOUND_S = 60.0


@pytest.fixture
def settings(make_settings: Callable[..., Settings], ledger_url: str, redis_url: str) -> Settings:
    return make_settings(ledger_url=ledger_url, broker_url=redis_url)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with Client(settings) as opened:
        yield opened


def some_fail(claim: Claim) -> Settlement:
    if "bad" in claim.request.question:
        return Settlement(claim, JobState.FAILED, 0, error="the engine refused it")
    return echo(claim)


def test_a_submitted_prompt_comes_back_with_its_price(client: Client, settings: Settings) -> None:
    job = client.submit("Who wrote Dune?", metadata={"row": 1})
    assert (job.tier, job.is_new, job.published) == ("small", True, True)
    assert job.status() is JobState.QUEUED
    with working(settings.ledger) as begin:
        begin.set()
        result = job.result(timeout=BOUND_S)
    assert (result.text, result.status) == ("re: Who wrote Dune?", JobState.SUCCEEDED)
    assert (result.charge_usd, result.metadata) == (Decimal("0.000000001"), {"row": 1})


def test_a_wait_that_is_over_leaves_the_job_alone(client: Client, settings: Settings) -> None:
    job = client.submit("Who wrote Dune?")
    with pytest.raises(ResultTimeout, match=f"{job.id}.*0.05 s; it goes on"):
        job.result(timeout=0.05)
    with working(settings.ledger) as begin:
        begin.set()
        assert job.result(timeout=BOUND_S).text


def test_many_come_back_in_the_order_given_each_with_its_own_arguments(
    client: Client, settings: Settings
) -> None:
    jobs = client.submit_many(
        [
            "one",
            [{"role": "user", "content": "two"}],
            {"prompt": "three", "tier": "large"},
            {"messages": [{"role": "user", "content": "four"}], "max_tokens": 3},
            Request.build("five"),
        ],
        workflow="nightly",
    )
    assert jobs[2].tier == "large"
    with working(settings.ledger) as begin:
        begin.set()
        texts = [job.result(timeout=BOUND_S).text for job in jobs]
    assert texts == [f"re: {word}" for word in ("one", "two", "three", "four", "five")]
    assert [client.fetch(job.id).workflow for job in jobs[:4]] == ["nightly"] * 4


def test_a_bad_item_among_many_is_named_by_its_number_and_nothing_is_accepted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[object] = []
    monkeypatch.setattr(accepting, "accept", lambda *given: accepted.append(given))
    with pytest.raises(InvalidRequest, match=r"^item 3: the prompt is empty"):
        client.submit_many(["one", "two", "  ", "four"])
    assert accepted == []


def test_results_come_as_the_jobs_end_failed_ones_included(
    client: Client, settings: Settings
) -> None:
    jobs = client.submit_many(["good", "bad", "better"] * 10)
    with working(settings.ledger, some_fail) as begin:
        begin.set()
        results = list(client.as_completed(jobs, timeout=BOUND_S))
    assert sorted(result.job_id for result in results) == sorted(job.id for job in jobs)
    assert sum(result.status is JobState.FAILED for result in results) == 10


def test_waiting_for_all_ends_when_its_time_is_over(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = Clock(0.0)
    monkeypatch.setattr(client_module, "time", SimpleNamespace(monotonic=seconds))
    jobs = client.submit_many(["good", "never"])
    only_good = lambda claim: echo(claim) if claim.request.question == "good" else None  # noqa: E731
    with working(settings.ledger, only_good) as begin:
        begin.set()
        results = client.as_completed(jobs, timeout=BOUND_S)
        assert next(results).job_id == jobs[0].id
        seconds.now = BOUND_S
        with pytest.raises(ResultTimeout, match="1 jobs have no result"):
            next(results)


def test_a_failed_job_raises_the_reason(client: Client, settings: Settings) -> None:
    job = client.submit("bad")
    with working(settings.ledger, some_fail) as begin:
        begin.set()
        with pytest.raises(JobFailed, match="the engine refused it"):
            job.result(timeout=BOUND_S)


def test_a_cancelled_job_ends_at_once_and_says_so(client: Client) -> None:
    job = client.submit("Who wrote Dune?")
    assert job.cancel() is JobState.CANCELLED
    with pytest.raises(JobCancelled, match="by the caller"):
        job.result(timeout=BOUND_S)


def test_the_same_key_gives_the_same_job_and_another_request_is_refused(client: Client) -> None:
    first = client.submit("Who wrote Dune?", idempotency_key="k")
    again = client.submit("Who wrote Dune?", idempotency_key="k")
    assert (again.id, again.is_new) == (first.id, False)
    with pytest.raises(IdempotencyConflict, match=first.id):
        client.submit("Who wrote Emma?", idempotency_key="k")


def test_an_unknown_job_is_not_found_by_any_way_of_asking(client: Client) -> None:
    for ask in (client.fetch, client.job, client.cancel, client.result):
        with pytest.raises(JobNotFound, match="no-such-job"):
            ask("no-such-job")
    assert client.fetch_many(["no-such-job"]) == {}


def test_a_job_is_found_again_by_its_id(client: Client, settings: Settings) -> None:
    job = client.submit("Who wrote Dune?")
    with working(settings.ledger) as begin, Client(settings) as another:
        begin.set()
        assert another.job(job.id).result(timeout=BOUND_S).job_id == job.id


def test_a_refused_prompt_is_in_no_ledger(client: Client) -> None:
    with pytest.raises(UnknownTier):
        client.submit("Who wrote Dune?", tier="huge")
    with pytest.raises(InvalidRequest):
        client.submit("")


def test_without_redis_a_submit_is_accepted_quickly_and_published_later(
    make_settings: Callable[..., Settings], ledger_url: str
) -> None:
    away = f"redis://127.0.0.1:{free_port()}/0"
    with Client(make_settings(ledger_url=ledger_url, broker_url=away)) as client:
        start = time.monotonic()
        job = client.submit("Who wrote Dune?", idempotency_key="k")
        assert time.monotonic() - start < BOUND_S
        assert (job.is_new, job.published, job.status()) == (True, False, JobState.QUEUED)
        with working(ledger_url) as begin:
            begin.set()
            assert job.result(timeout=BOUND_S).text == "re: Who wrote Dune?"


def test_one_client_serves_many_threads(client: Client, settings: Settings) -> None:
    def ask(number: int) -> str | None:
        return client.submit(f"question {number}").result(timeout=BOUND_S).text

    with working(settings.ledger) as begin, ThreadPoolExecutor(16) as pool:
        begin.set()
        texts = list(pool.map(ask, range(64)))
    assert texts == [f"re: question {number}" for number in range(64)]


def test_a_future_that_one_caller_cancels_still_serves_the_others(
    client: Client, settings: Settings
) -> None:
    first, second = client.submit_many(["one", "two"])
    client.future(first.id).cancel()
    with working(settings.ledger) as begin:
        begin.set()
        assert second.result(timeout=BOUND_S).text == "re: two"
        assert first.result(timeout=BOUND_S).text == "re: one"


def test_closing_a_client_ends_its_thread_and_its_waits(settings: Settings) -> None:
    client = Client(settings)
    job = client.submit("Who wrote Dune?")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.result, job.id, BOUND_S)
        client.future(job.id)
        client.close()
        with pytest.raises(Unavailable, match="the client was closed"):
            waiting.result(BOUND_S)
    assert "penstock-waiter" not in [thread.name for thread in threading.enumerate()]


def test_a_client_without_a_ledger_says_so_at_once(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(LedgerUnavailable, match="penstock up"):
        Client(make_settings())


def test_a_client_of_an_empty_database_says_how_to_make_the_tables(
    make_settings: Callable[..., Settings], empty_postgres_url: str
) -> None:
    with pytest.raises(SchemaMismatch, match="penstock migrate"):
        Client(make_settings(ledger_url=empty_postgres_url))
