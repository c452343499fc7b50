"""Where a batch writes: OUT and ERR that cannot be what they are named for are refused first."""

import json
import os
from pathlib import Path

import pytest

from penstock_producer.batch.collecting import write_results
from penstock_producer.batch.running import RunOptions
from penstock_shared.errors import BatchBusy, InvalidBatch
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState
from tests.batch_files import (
    a_batch_file,
    a_csv,
    custom_ids,
    objects,
    options_in,
    questions,
    run_batch,
    source_of,
    start,
)
from tests.batch_worker import BatchWorker


@pytest.mark.parametrize("spelling", ["./out.jsonl", "link.jsonl", "hard.jsonl"])
def test_errors_that_go_to_the_output_by_another_name_stand_in_it_once(
    settings: Settings,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spelling: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("out.jsonl")
    out.touch()
    Path("link.jsonl").symlink_to(out)
    Path("hard.jsonl").hardlink_to(out)
    source = source_of(a_batch_file(tmp_path / "in.jsonl", ["fail", *questions(3)]), settings)
    options = RunOptions(out="out.jsonl", errors=spelling)
    for _ in range(2):
        with BatchWorker(database):
            summary = run_batch(settings, database, source, options)
        assert sorted(custom_ids(out).values()) == [1, 1, 1, 1]
    ours = summary.record.id
    assert write_results(database, ours, out=str(out), errors=spelling) == (4, 0)
    assert sorted(custom_ids(out).values()) == [1, 1, 1, 1]


def test_an_error_file_has_one_writer(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", ["fail", *questions(2)]), settings)
    run = start(settings, database, source, options_in(tmp_path))
    [record] = records.newest(database)
    errors, other = str(tmp_path / "out.errors.jsonl"), str(tmp_path / "other.jsonl")
    with pytest.raises(BatchBusy, match=r"out\.errors\.jsonl"):
        write_results(database, record.id, out=other, errors=errors)
    with pytest.raises(BatchBusy, match=r"out\.errors\.jsonl"):
        start(settings, database, source, RunOptions(out=other, errors=errors))
    with BatchWorker(database):
        run.run()
    assert write_results(database, record.id, out=other, errors=errors) == (2, 1)
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".lock"] == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"out": "a-folder"}, "a-folder is a folder"),
        ({"out": "missing/out.jsonl"}, "cannot be written"),
        ({"errors": "a-folder"}, "a-folder is a folder"),
        ({"errors": "missing/errors.jsonl"}, "cannot be written"),
        ({"errors": "notes.jsonl"}, "no line that Penstock wrote"),
        ({"out": "mine.jsonl"}, "no line that Penstock wrote"),  # mine.errors.jsonl is there
        ({"out": "out.jsonl.gz"}, r"name says gzip; name a file that ends in \.jsonl"),
        ({"out": "out.csv"}, "would be written as JSON Lines, and its name says CSV"),
        ({"errors": "errors.parquet"}, "its name says Parquet"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_there_is_a_batch(
    settings: Settings,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-folder").mkdir()
    for name in ("notes.jsonl", "mine.errors.jsonl"):
        Path(name).write_text("mine\n")
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(2)), settings)
    with pytest.raises(InvalidBatch, match=says):
        start(settings, database, source, RunOptions(**{"out": "out.jsonl", **options}))  # type: ignore[arg-type]
    assert records.newest(database) == []


def test_a_paused_batch_stays_so_when_its_error_file_is_of_somebody_else(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(2)), settings)
    start(settings, database, source, options_in(tmp_path)).close()
    [record] = records.newest(database)
    records.pause(database, record.id, reason="its command was interrupted")
    (tmp_path / "out.errors.jsonl").write_text("mine\n")
    with pytest.raises(InvalidBatch, match="no line that Penstock wrote"):
        start(settings, database, source, options_in(tmp_path))
    assert records.get(database, record.id).state is BatchState.PAUSED


def test_rows_of_another_batch_in_the_error_file_are_seen_behind_its_header(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_csv(tmp_path / "in.csv", ["fail"]), settings, template="{{ question }}")
    errors = str(tmp_path / "errors.csv")
    with BatchWorker(database):
        first = RunOptions(out=str(tmp_path / "first.csv"), errors=errors)
        summary = run_batch(settings, database, source, first)
        second = RunOptions(out=str(tmp_path / "second.csv"), errors=errors)
        with pytest.raises(InvalidBatch, match=f"belongs to batch {summary.record.id}"):
            start(settings, database, source, second)
    assert len(records.newest(database, limit=9)) == 1


def test_a_pipe_is_written_to_like_standard_output(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", ["fail", *questions(2)]), settings)
    reading, writing = os.pipe()
    out, errors = str(tmp_path / "out.jsonl"), f"/dev/fd/{writing}"
    with BatchWorker(database):
        run_batch(settings, database, source, RunOptions(out=out, errors=errors))
        run_batch(settings, database, source, RunOptions(out=errors))
    ours = records.newest(database)[0].id
    assert write_results(database, ours, out=errors, errors=None) == (3, 0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        found = [json.loads(line)["custom_id"] for line in stream]
    names = ["line-1", "line-2", "line-3"]
    assert sorted(found[1:]) == sorted(2 * names)
    assert (found[0], len(objects(Path(out)))) == ("line-1", 2)


def test_standard_error_keeps_what_it_had(
    settings: Settings,
    database: Database,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", ["fail", *questions(2)]), settings)
    os.write(2, b"a note\n")  # which pytest has in a file
    with BatchWorker(database):
        summary = run_batch(settings, database, source, options_in(tmp_path, errors="/dev/stderr"))
    os.write(2, b"the end\n")
    found = capfdbinary.readouterr().err.splitlines()
    assert (found[0], found[-1]) == (b"a note", b"the end")
    assert b'"custom_id":"line-1"' in found[1]
    assert (summary.out_lines, summary.error_lines) == (2, 1)


def test_a_table_with_tabs_comes_out_with_tabs(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "in.tsv").write_text("id\ttext\n1\tWhat, again?\n")
    source = source_of(tmp_path / "in.tsv", settings)
    out = tmp_path / "out.tsv"
    for _ in range(2):
        with BatchWorker(database):
            summary = run_batch(settings, database, source, RunOptions(out=str(out)))
    header, row = out.read_text().splitlines()
    assert header.startswith("id\ttext\tpenstock_text\t")
    assert row.startswith("1\tWhat, again?\tWHAT, AGAIN?\t")
    with pytest.raises(InvalidBatch, match=r"name a file that ends in \.tsv"):
        write_results(database, summary.record.id, out=str(tmp_path / "so-far.csv"), errors=None)
