"""Which batch a command goes on with, and when it makes a new one."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import update

from penstock_producer.batch.preparing import prepare
from penstock_producer.batch.reading import Source
from penstock_producer.batch.running import BatchRun, RunOptions, Summary
from penstock_producer.batch.watching import Progress
from penstock_shared import clock
from penstock_shared.errors import InvalidBatch
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job
from penstock_shared.settings import Settings
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
from tests.batch_worker import BatchWorker
from tests.examples import rows


def interrupted(
    settings: Settings, database: Database, source: Source, options: RunOptions
) -> Summary:
    """A command that is stopped when ten lines or more have ended."""
    stop, worker = threading.Event(), BatchWorker(database, "small", at_once=5)

    def on_progress(progress: Progress) -> None:
        worker.serve()
        if progress.settled_here >= 10:
            stop.set()

    summary = start(settings, database, source, options).run(on_progress, stop)
    records.pause(database, summary.record.id, "its command was interrupted")
    return summary


def test_onto_standard_output_the_same_command_goes_on_and_shows_all(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(30)), settings)
    options = RunOptions(out="-")
    first = interrupted(settings, database, source, options)
    assert 10 <= first.out_lines < 30
    with BatchWorker(database):
        second = run_batch(settings, database, source, options)
        assert second.record.id == first.record.id
        assert second.out_lines == 30
        assert len(rows(database, Attempt)) == 30
        third = run_batch(settings, database, source, options)
    assert third.record.id != first.record.id


def test_two_commands_onto_standard_output_share_a_batch_and_each_shows_all(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(30)), settings)
    again = source_of(tmp_path / "in.jsonl", settings)
    options = RunOptions(out="-")
    runs = [start(settings, database, each, options) for each in (source, again)]
    summaries: list[Summary] = []
    threads = [threading.Thread(target=lambda r=run: summaries.append(r.run())) for run in runs]
    with BatchWorker(database):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [summary.out_lines for summary in summaries] == [30, 30]
    assert len({summary.record.id for summary in summaries}) == 1
    assert len(rows(database, Attempt)) == 30


def test_a_cancelled_batch_is_forgotten_when_its_files_are_gone(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(4)), settings)
    run = BatchRun(settings, database, source, options_in(tmp_path))
    record = run.start(prepare(source, settings))
    records.cancel(database, record.id, clock.now_ms())
    assert run.run().error_lines == 4
    out, errors = tmp_path / "out.jsonl", tmp_path / "out.errors.jsonl"
    with BatchWorker(database):
        again = run_batch(settings, database, source, options_in(tmp_path))
        assert again.record.id == record.id
        assert len(objects(errors)) == 4

        errors.unlink()
        assert out.stat().st_size == 0
        fresh = run_batch(settings, database, source, options_in(tmp_path))
    assert fresh.record.id != record.id
    assert custom_ids(out) == {f"line-{n}": 1 for n in range(1, 5)}


def test_an_input_that_another_version_reads_otherwise_does_not_go_on(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(4)), settings)
    preparation = prepare(source, settings)
    run = BatchRun(settings, database, source, options_in(tmp_path))
    run.start(preparation)
    run.close()
    with pytest.raises(InvalidBatch, match="has 4 lines, and the same input now has 2"):
        run.start(preparation._replace(total=2))


def test_the_speed_is_that_of_lines_that_ended_here(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(20)), settings)
    run = BatchRun(settings, database, source, options_in(tmp_path))
    run.start(prepare(source, settings))
    run.load()
    assert BatchWorker(database, "small", at_once=10).serve() == 10
    with database.write() as connection:
        ended = update(Job).where(Job.finished_ms.is_not(None))
        connection.execute(ended.values(finished_ms=Job.finished_ms - 1_000))
    worker = BatchWorker(database, "small", at_once=10)
    seen: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        seen.append(progress)
        worker.serve()

    summary = start(settings, database, source, options_in(tmp_path)).run(on_progress)
    assert summary.out_lines == 20
    assert (seen[-1].settled_here, seen[-1].tokens_here) == (10, 10 * 5)
