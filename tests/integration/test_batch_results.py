"""What a batch has by now, and tables with their columns."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from penstock_producer.batch.collecting import write_results
from penstock_producer.batch.running import RunOptions
from penstock_producer.batch.watching import Progress
from penstock_shared import clock
from penstock_shared.errors import InvalidBatch
from penstock_shared.ledger.batches import documents
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from tests.batch_files import (
    a_batch_file,
    a_csv,
    custom_ids,
    objects,
    questions,
    run_batch,
    source_of,
    start,
    table,
)
from tests.batch_worker import COST_PUSD, BatchWorker

BOUND_S = 60.0


@pytest.fixture
def settings(make_settings: Callable[..., Settings], ledger_url: str) -> Settings:
    return make_settings(ledger_url=ledger_url)


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
