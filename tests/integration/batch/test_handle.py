"""Batches from a program, sync and async."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock_producer import AsyncClient, Client, InvalidRequest, Request, Settings
from penstock_shared.errors import BatchNotFound, InvalidBatch
from penstock_shared.ledger.batches import loading, records
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.words import BatchState
from tests.batch_files import a_batch_file, objects
from tests.batch_worker import BatchWorker
from tests.examples import rows, succeeded


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with Client(settings) as opened:
        yield opened


def test_results_come_with_their_prices_as_lines_end(client: Client, database: Database) -> None:
    prompts = ["What is a dam?", {"custom_id": "mine", "prompt": "fail"}, Request.build("A lake?")]
    with BatchWorker(database):
        lines = {each.custom_id: each for each in client.batch(prompts, tier="small")}
    assert set(lines) == {"1", "mine", "3"}
    assert lines["1"].result is not None
    assert lines["1"].result.text == "WHAT IS A DAM?"
    assert lines["1"].result.charge_usd is not None
    assert lines["mine"].is_failed
    assert lines["mine"].error == "failed: it says so"


def test_the_same_name_finds_its_batch_again_and_generates_nothing_twice(
    client: Client, database: Database
) -> None:
    prompts = [f"What is {number}?" for number in range(20)]
    with BatchWorker(database):
        first = client.batch(prompts, name="nightly")
        assert len(list(first)) == 20
        again = client.batch(iter(prompts), name="nightly")
        assert again.id == first.id
        assert len(list(again)) == 20
    assert len(rows(database, Job)) == 20
    with pytest.raises(InvalidBatch, match="input_modified"):
        client.batch(prompts[:3], name="nightly")


def test_a_file_is_read_and_written(client: Client, database: Database, tmp_path: Path) -> None:
    source = a_batch_file(tmp_path / "in.jsonl", ["What?", "fail"])
    batch = client.batch(source, out=tmp_path / "out.jsonl")
    with BatchWorker(database):
        summary = batch.wait(60)
    assert summary is not None
    assert (summary.out_lines, summary.error_lines) == (1, 1)
    assert [line["custom_id"] for line in objects(tmp_path / "out.jsonl")] == ["line-1"]
    assert client.batch_of(batch.id).counts().succeeded == 1


def test_a_batch_is_paused_resumed_and_cancelled(client: Client, database: Database) -> None:
    batch = client.batch([f"What is {number}?" for number in range(10)])
    batch.wait(60)
    assert batch.counts().queued == 10
    assert batch.pause().state is BatchState.PAUSED
    assert list(batch) == []
    assert batch.resume().state is BatchState.RUNNING
    assert batch.cancel().state is BatchState.CANCELLED
    assert [each.error for each in batch] == [
        "cancelled: cancelled by the caller before it started"
    ] * 10


def test_wrong_items_and_parameters_are_refused_before_anything_is_accepted(
    client: Client, database: Database, settings: Settings
) -> None:
    with pytest.raises(InvalidRequest, match="item 2: "):
        client.batch(["What?", ""])
    with pytest.raises(InvalidRequest, match="unknown parameter 'tempo'"):
        client.batch(["What?"], tempo=1)
    with pytest.raises(InvalidBatch, match="empty_file"):
        client.batch([])
    with pytest.raises(BatchNotFound):
        client.batch_of("batch_none")
    assert rows(database, Job) == []
    assert list(settings.home.glob("batch-*")) == []


def test_the_same_with_await(settings: Settings, database: Database) -> None:
    async def main() -> list[str | None]:
        async with AsyncClient(settings) as client:
            batch = await client.batch(f"What is {number}?" for number in range(5))
            return [line.result.text async for line in batch if line.result]

    with BatchWorker(database):
        texts = asyncio.run(main())
    assert sorted(texts) == [f"WHAT IS {number}?" for number in range(5)]


def test_what_nobody_could_load_any_more_is_cancelled_when_its_client_closes(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, begun = loading.load, threading.Event()
    closing: dict[str, Client] = {}

    def load_and_stop(*arguments: Any, **more: Any) -> None:
        load(*arguments, **more)
        assert begun.wait(60)
        closing["client"]._batches[-1]._stop.set()  # as close does, while a group enters

    monkeypatch.setattr(loading, "load", load_and_stop)
    states = []
    for arguments in ({}, {"name": "nightly"}):
        begun.clear()
        with Client(settings) as client:
            closing["client"] = client
            batch = client.batch([f"What is {n}?" for n in range(100)], **arguments)
            begun.set()
            batch.wait(60)
        record = records.get(database, batch.id)
        assert record.loaded == 64
        states.append(record.state)
    assert states == [BatchState.CANCELLED, BatchState.RUNNING]


@pytest.mark.parametrize("amount", ["abc", -1, 0, float("nan"), "inf"])
def test_a_limit_that_is_no_amount_is_refused(client: Client, amount: object) -> None:
    with pytest.raises(InvalidRequest, match=r"max_cost_usd: .* is no amount above 0"):
        client.batch(["What?"], max_cost_usd=amount)


def test_failed_lines_run_again_and_a_paused_batch_gets_more_money(
    client: Client, database: Database
) -> None:
    batch = client.batch(["fail", "What?"], name="nightly", max_cost_usd="0.5")
    batch.wait(60)
    assert BatchWorker(database).serve() == 2
    assert batch.retry_failed() == 1
    batch.pause()
    record = batch.resume(max_cost_usd="2.5")
    assert (record.state, record.max_cost_pusd) == (BatchState.RUNNING, 2_500_000_000_000)
    assert BatchWorker(database, answering=succeeded).serve() == 1
    assert batch.counts().succeeded == 2
