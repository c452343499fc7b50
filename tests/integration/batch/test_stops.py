"""Whatever stops a batch, what is done stays, and the same command goes on."""

import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from penstock_producer.batch.preparing import prepare
from penstock_producer.batch.running import BatchRun
from penstock_producer.batch.watching import Progress
from penstock_shared import clock
from penstock_shared.budgets import Budget
from penstock_shared.errors import LedgerUnavailable
from penstock_shared.ledger.batches import lines, loading, records
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState
from tests.batch_files import (
    a_batch_file,
    custom_ids,
    objects,
    options_in,
    questions,
    run_batch,
    source_of,
    start,
)
from tests.batch_worker import COST_PUSD, BatchWorker
from tests.examples import rows


def test_a_cancelled_batch_has_every_line_in_one_of_the_files(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(300)), settings)
    run = BatchRun(settings, database, source, options_in(tmp_path))
    record = run.start(prepare(source, settings))
    load = loading.load

    def load_and_cancel(*arguments: object, **more: object) -> None:
        load(*arguments, **more)  # type: ignore[arg-type]
        if more["loaded"] == 0:
            BatchWorker(database, at_once=10).serve()
            records.cancel(database, record.id, clock.now_ms())

    monkeypatch.setattr(loading, "load", load_and_cancel)
    summary = run.run()

    assert summary.stopped_by == "it was cancelled"
    assert (summary.out_lines, summary.error_lines) == (10, 290)
    codes = {line["error"]["code"] for line in objects(tmp_path / "out.errors.jsonl")}
    assert codes == {"batch_cancelled"}
    found = custom_ids(tmp_path / "out.jsonl", tmp_path / "out.errors.jsonl")
    assert found == {f"line-{n}": 1 for n in range(1, 301)}
    assert summary.counts.ended == 300


def test_money_stops_a_batch_cleanly_and_more_of_it_lets_the_same_command_go_on(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(60)), settings)
    limit = Decimal(20 * COST_PUSD).scaleb(-12)
    with BatchWorker(database, at_once=4):
        summary = run_batch(settings, database, source, options_in(tmp_path, max_cost_usd=limit))
        assert summary.stopped_by is not None
        assert "max cost" in summary.stopped_by
        assert summary.record.state is BatchState.PAUSED
        assert summary.out_lines == summary.counts.succeeded == 20
        summary = run_batch(
            settings, database, source, options_in(tmp_path, max_cost_usd=Decimal(1))
        )
    assert summary.stopped_by is None
    assert summary.out_lines == 60
    assert len(rows(database, Attempt)) == 60


def test_a_budget_without_room_pauses_a_batch_that_could_free_none(
    make_settings: Callable[..., Settings], ledger_url: str, database: Database, tmp_path: Path
) -> None:
    budget = Budget(tenant="default", per="day", usd=Decimal("0.0000000001"))
    settings = make_settings(ledger_url=ledger_url, budgets=(budget,))
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(2)), settings)
    summary = run_batch(settings, database, source, options_in(tmp_path))
    assert summary.stopped_by is not None
    assert "budget" in summary.stopped_by
    assert summary.counts.total == 0


def test_an_outage_of_the_ledger_is_waited_out(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(200)), settings)
    load, ended = loading.load, lines.ended
    outages = {"before": 2, "after": 1, "reading": 3}

    def failing_load(*arguments: object, **more: object) -> None:
        if outages["before"]:
            outages["before"] -= 1
            raise LedgerUnavailable("it is away")
        load(*arguments, **more)  # type: ignore[arg-type]
        if outages["after"]:  # the commit was made, and nobody heard of it
            outages["after"] -= 1
            raise LedgerUnavailable("the connection broke")

    def failing_ended(*arguments: object, **more: object) -> object:
        if outages["reading"]:
            outages["reading"] -= 1
            raise LedgerUnavailable("it is away")
        return ended(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "load", failing_load)
    monkeypatch.setattr(lines, "ended", failing_ended)
    with BatchWorker(database):
        summary = run_batch(settings, database, source, options_in(tmp_path))
    assert summary.out_lines == 200
    assert outages == {"before": 0, "after": 0, "reading": 0}


def test_an_interrupted_command_leaves_what_is_done_and_the_same_one_goes_on(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(50)), settings)
    stop = threading.Event()
    run = start(settings, database, source, options_in(tmp_path))
    worker = BatchWorker(database, "small", at_once=5)

    def on_progress(progress: Progress) -> None:
        worker.serve()
        if progress.settled_here >= 10:
            stop.set()

    summary = run.run(on_progress, stop)
    assert summary.stopped_by is not None
    assert 10 <= summary.out_lines < 50
    with BatchWorker(database):
        summary = run_batch(settings, database, source, options_in(tmp_path))
    assert custom_ids(tmp_path / "out.jsonl") == {f"line-{n}": 1 for n in range(1, 51)}
