"""A batch from its input to its outputs, on each kind of ledger."""

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from penstock_producer.batch.collecting import write_results
from penstock_producer.batch.loading import Loader
from penstock_producer.batch.preparing import prepare
from penstock_producer.batch.running import BatchRun, RunOptions
from penstock_producer.batch.watching import Progress
from penstock_shared import clock
from penstock_shared.budgets import Budget
from penstock_shared.errors import BatchBusy, InvalidBatch, LedgerUnavailable
from penstock_shared.ledger.batches import documents, lines, loading, records
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job
from penstock_shared.ledger.settling import Settlement
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState
from tests.batch_files import (
    a_batch_file,
    a_csv,
    custom_ids,
    objects,
    run_batch,
    source_of,
    start,
    table,
)
from tests.batch_worker import COST_PUSD, BatchWorker, answer_or_fail
from tests.examples import rows, succeeded

BOUND_S = 60.0


@pytest.fixture
def settings(make_settings: Callable[..., Settings], ledger_url: str) -> Settings:
    return make_settings(ledger_url=ledger_url)


def questions(count: int) -> list[str]:
    return [f"What is {number}?" for number in range(count)]


def options_in(folder: Path, **changes: object) -> RunOptions:
    return RunOptions(**{"out": str(folder / "out.jsonl"), **changes})  # type: ignore[arg-type]


def test_wrong_lines_are_reported_before_anything_is_accepted(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", questions(2))
    path.write_text(path.read_text() + "{\n" + path.read_text().splitlines()[0] + "\n")
    source = source_of(path, settings)
    with pytest.raises(InvalidBatch, match=r"line 3: invalid_json_line: .*1 more") as raised:
        start(settings, database, source, options_in(tmp_path))
    assert (raised.value.reason, raised.value.line) == ("invalid_json_line", 3)
    assert rows(database, Job) == []
    assert not (tmp_path / "out.jsonl").exists()


def test_skipped_lines_stand_in_the_errors_and_counts_are_the_total(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", questions(2))
    path.write_text(path.read_text() + "\n{\n" + path.read_text().splitlines()[0] + "\n")
    with BatchWorker(database):
        summary = run_batch(
            settings, database, source_of(path, settings), options_in(tmp_path, skip_invalid=True)
        )
    assert (summary.counts.total, summary.counts.invalid, summary.out_lines) == (4, 2, 2)
    assert summary.record.state is BatchState.COMPLETED
    found = objects(tmp_path / "out.errors.jsonl")
    assert [(e["penstock"]["line"], e["error"]["code"], e["custom_id"]) for e in found] == [
        (4, "invalid_json_line", None),
        (5, "duplicate_custom_id", None),
    ]


def test_a_batch_of_which_every_line_failed_says_so(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", ["fail 1", "fail 2"])
    with BatchWorker(database):
        summary = run_batch(settings, database, source_of(path, settings), options_in(tmp_path))
    assert summary.all_failed
    assert (summary.out_lines, summary.error_lines) == (0, 2)


def test_two_commands_do_not_write_to_one_output(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(2)), settings)
    first = start(settings, database, source, options_in(tmp_path))
    with pytest.raises(BatchBusy):
        start(settings, database, source, options_in(tmp_path))
    first.close()
    again = start(settings, database, source, options_in(tmp_path))
    again.close()
    assert len(records.newest(database, limit=9)) == 1


def test_an_output_of_another_input_is_refused(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", questions(2))
    with BatchWorker(database):
        run_batch(settings, database, source_of(path, settings), options_in(tmp_path))
    a_batch_file(path, questions(3))
    with pytest.raises(InvalidBatch, match="input_modified"):
        start(settings, database, source_of(path, settings), options_in(tmp_path))
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InvalidBatch, match="no batch of this ledger"):
        start(
            settings,
            database,
            source_of(path, settings),
            options_in(tmp_path, out=str(tmp_path / "notes")),
        )


def test_the_errors_of_a_batch_stay_where_they_are(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", ["fail"]), settings)
    errors = str(tmp_path / "errors")
    with BatchWorker(database):
        run_batch(settings, database, source, options_in(tmp_path, errors=errors))
        with pytest.raises(InvalidBatch, match="go to"):
            start(settings, database, source, options_in(tmp_path))
        run_batch(settings, database, source, options_in(tmp_path, errors=errors))
    assert len(objects(tmp_path / "errors")) == 1


def test_a_folder_is_read_in_parts_and_summed_up(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("One sentence. " * 300)
    source = source_of(
        folder,
        settings,
        map_prompt="Sum up: {{ text }}",
        tier="large",
        chunk_tokens=100,
        reduce_prompt="All of {{ document }}: {{ parts | length }} parts",
    )
    out = tmp_path / "out.jsonl"

    def on_progress(_: Progress) -> None:
        documents.promote(database, settings, clock.now_ms())

    run = start(settings, database, source, RunOptions(out=str(out)))
    with BatchWorker(database):
        summary = run.run(on_progress)
    sums = [row for row in objects(out) if "#" not in row["custom_id"]]
    assert sorted(row["document"] for row in sums) == ["a.txt", "b.txt"]
    assert all(row["text"].endswith("PARTS") for row in sums)
    assert summary.out_lines == summary.record.total > 4


def test_failed_lines_that_are_retried_move_to_the_output(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", ["What?", "fail", "How?"]), settings)
    out, errors = tmp_path / "out.jsonl", tmp_path / "out.errors.jsonl"
    with BatchWorker(database):
        summary = run_batch(settings, database, source, options_in(tmp_path))
    assert [line["custom_id"] for line in objects(errors)] == ["line-2"]

    assert lines.retry_failed(database, summary.record.id) == 1
    with BatchWorker(database, answering=succeeded):
        summary = run_batch(settings, database, source, options_in(tmp_path))

    assert custom_ids(out) == {"line-1": 1, "line-2": 1, "line-3": 1}
    assert objects(errors) == []
    assert (summary.out_lines, summary.error_lines) == (3, 0)


def test_a_retry_while_the_command_watches_is_seen(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", ["fail", *questions(3)]), settings)
    failing = threading.Event()
    failing.set()

    def answering(claim: Claim) -> Settlement:
        return answer_or_fail(claim) if failing.is_set() else succeeded(claim)

    worker = BatchWorker(database, "small", answering=answering, at_once=1)

    def on_progress(progress: Progress) -> None:
        if progress.loaded < progress.total:
            return
        if (tmp_path / "out.errors.jsonl").exists() and failing.is_set():
            failing.clear()
            assert lines.retry_failed(database, record.id) == 1
        worker.serve()

    run = BatchRun(settings, database, source, options_in(tmp_path))
    record = run.start(prepare(source, settings))
    summary = run.run(on_progress)

    assert (summary.out_lines, summary.error_lines) == (4, 0)
    assert set(custom_ids(tmp_path / "out.jsonl", tmp_path / "out.errors.jsonl").values()) == {1}


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


def test_results_are_what_is_there_by_now(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", ["fail", *questions(9)]), settings)
    run = start(settings, database, source, RunOptions())
    record = run.load()
    BatchWorker(database, "small", at_once=4).serve()
    out = str(tmp_path / "part.jsonl")
    assert write_results(settings, database, record.id, out=out, errors=None) == (3, 1)
    BatchWorker(database, "small").serve()
    assert write_results(settings, database, record.id, out=out, errors=None) == (9, 1)
    assert len(custom_ids(Path(out), tmp_path / "part.errors.jsonl")) == 10
    (tmp_path / "mine").write_text("notes\n")
    with pytest.raises(InvalidBatch):
        write_results(settings, database, record.id, out=str(tmp_path / "mine"), errors=None)


def test_a_table_has_its_columns_beside_the_answers(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_csv(tmp_path / "in.csv", ["What\nis?", "fail"])
    source = source_of(path, settings, template="{{ question }}", id_column="id")
    out = tmp_path / "out.csv"
    with BatchWorker(database):
        summary = run_batch(settings, database, source, RunOptions(out=str(out)))
    first, second = sorted(table(out), key=lambda row: row["penstock_line"])
    assert (first["question"], first["text"], first["error"]) == ("What\nis?", "WHAT\nIS?", "")
    assert (second["text"], second["error"]) == ("", "failed: it says so")
    assert summary.out_lines == 2

    whole = tmp_path / "whole.csv"
    ours = summary.record.id
    assert write_results(settings, database, ours, out=str(whole), errors=None, source=source) == (
        2,
        0,
    )
    assert table(whole) == [first, second]


def test_parquet_keeps_its_types_and_failed_rows_go_where_they_are_wanted(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    content = pyarrow.table({"text": ["What?", "fail", "How?"], "n": pyarrow.array([1, 2, None])})
    parquet.write_table(content, tmp_path / "in.parquet")
    source = source_of(tmp_path / "in.parquet", settings)
    out, errors = tmp_path / "out.parquet", tmp_path / "errors.jsonl"
    with BatchWorker(database):
        options = RunOptions(out=str(out), errors=str(errors))
        summary = run_batch(settings, database, source, options)
    found = parquet.read_table(out)
    assert found.schema.field("n").type == pyarrow.int64()
    assert found.column("penstock_text").to_pylist() == ["WHAT?", "HOW?"]
    assert found.column("cost_usd").to_pylist() == [Decimal(COST_PUSD).scaleb(-12)] * 2
    assert [row["text"] for row in objects(errors)] == ["fail"]
    assert (summary.out_lines, summary.error_lines) == (2, 1)


def test_an_input_that_changed_while_it_was_loaded_is_noticed(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", questions(20))
    source = source_of(path, settings)
    run = start(settings, database, source, options_in(tmp_path))
    a_batch_file(path, questions(10))
    with pytest.raises(InvalidBatch, match="input_modified"):
        run.run()


def test_a_loader_goes_on_where_another_was_killed(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", questions(100))
    path.write_text("\n" + path.read_text())
    source = source_of(path, settings)
    preparation = prepare(source, settings)
    record = start(settings, database, source, RunOptions()).load()
    assert (record.loaded, record.is_loaded) == (100, True)
    never = threading.Event()
    loader = Loader(settings, database, source, record, preparation.duplicates, never)
    begun = time.monotonic()
    loader.run()
    assert time.monotonic() - begun < BOUND_S
    assert len(rows(database, Job)) == 100
