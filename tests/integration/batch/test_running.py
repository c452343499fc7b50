"""A batch from its input to its outputs, on each kind of ledger."""

import threading
from pathlib import Path

import pytest

from penstock_producer.batch.preparing import prepare
from penstock_producer.batch.running import BatchRun
from penstock_producer.batch.watching import Progress
from penstock_shared.errors import BatchBusy, InvalidBatch
from penstock_shared.ledger.batches import lines, records
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.ledger.settling import Settlement
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
from tests.batch_worker import BatchWorker, answer_or_fail
from tests.examples import rows, succeeded

BOUND_S = 60.0


def test_wrong_lines_are_reported_before_anything_is_accepted(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", questions(2))
    path.write_text(path.read_text() + "{\n" + path.read_text().splitlines()[0] + "\n")
    source = source_of(path, settings)
    with pytest.raises(
        InvalidBatch, match=r"2 of 4 lines .* line 3: invalid_json_line: "
    ) as raised:
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
