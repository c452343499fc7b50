"""What a batch has by now, and tables with their columns."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from penstock_producer.batch.collecting import write_results
from penstock_producer.batch.request_file import Item, RequestFile, spooled
from penstock_producer.batch.running import RunOptions
from penstock_producer.batch.watching import Progress
from penstock_shared import clock
from penstock_shared.errors import InvalidBatch
from penstock_shared.ledger.batches import documents, records
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Settlement
from penstock_shared.request import Request
from penstock_shared.settings import Settings
from penstock_shared.words import RequestKind
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
from tests.examples import an_answer, succeeded

BOUND_S = 60.0


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
    assert write_results(database, record.id, out=out, errors=None) == (3, 1)
    BatchWorker(database, "small").serve()
    assert write_results(database, record.id, out=out, errors=None) == (9, 1)
    assert len(custom_ids(Path(out), tmp_path / "part.errors.jsonl")) == 10
    (tmp_path / "mine").write_text("notes\n")
    with pytest.raises(InvalidBatch):
        write_results(database, record.id, out=str(tmp_path / "mine"), errors=None)


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
    assert write_results(database, ours, out=str(whole), errors=None, source=source) == (
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


def a_parquet(path: Path) -> Path:
    """Three rows; the column n has numbers, and none may be missing."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    number = pyarrow.field("n", pyarrow.int16(), nullable=False)
    schema = pyarrow.schema([pyarrow.field("text", pyarrow.string()), number])
    rows = [{"text": text, "n": n} for n, text in enumerate(["What?", "fail", "How?"])]
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), path)
    return path


def test_parquet_from_standard_input_keeps_its_types(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.parquet"
    settings.home.mkdir()
    with a_parquet(tmp_path / "in.parquet").open() as stream, BatchWorker(database):
        monkeypatch.setattr(sys, "stdin", stream)
        source = source_of(Path("-"), settings)
        summary = run_batch(settings, database, source, RunOptions(out=str(out)))
    assert summary.out_lines == 3
    found = pytest.importorskip("pyarrow.parquet").read_table(out)
    assert (str(found.schema.field("n").type), found.column("n").to_pylist()) == (
        "int16",
        [0, 1, 2],
    )


def test_results_of_parquet_whose_input_is_gone_have_our_columns_only(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_parquet(tmp_path / "in.parquet"), settings)
    whole, ours = tmp_path / "whole.parquet", tmp_path / "ours.parquet"
    with BatchWorker(database):
        batch_id = run_batch(settings, database, source, RunOptions(out=str(whole))).record.id
    (tmp_path / "in.parquet").unlink()
    for _ in range(2):
        assert write_results(database, batch_id, out=str(ours), errors=None) == (3, 0)
    found = pytest.importorskip("pyarrow.parquet").read_table(ours)
    assert found.column_names[0] == "penstock_text"
    assert found.column("penstock_text").to_pylist() == ["WHAT?", None, "HOW?"]
    with pytest.raises(InvalidBatch, match="has other columns"):
        write_results(database, batch_id, out=str(whole), errors=None)


def test_parquet_is_not_written_to_standard_output(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    source = source_of(a_parquet(tmp_path / "in.parquet"), settings)
    with pytest.raises(InvalidBatch, match="name a file"):
        start(settings, database, source, RunOptions(out="-"))
    assert records.newest(database) == []


def test_a_program_may_ask_for_answers_and_vectors_in_one_batch(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    items = [
        Request.build("Where is Huế?", kind="embedding"),
        Request.build("Where is Huế?"),
        Request.build("Huế is", kind="completion"),
    ]

    def answering(claim: Claim) -> Settlement:
        is_vector = claim.request.kind is RequestKind.EMBEDDING
        return succeeded(claim, answer=an_answer("[[0.5]]" if is_vector else "In Vietnam."))

    path = spooled(items, lambda _, item: Item(None, item), tmp_path / "requests")
    source = RequestFile(path, "a program", settings)
    out = tmp_path / "out.jsonl"
    with BatchWorker(database, answering=answering):
        run_batch(settings, database, source, RunOptions(out=str(out)))
    bodies = {line["custom_id"]: line["response"]["body"] for line in objects(out)}
    assert bodies["1"]["data"][0]["embedding"] == [0.5]
    assert bodies["2"]["choices"][0]["message"]["content"] == "In Vietnam."
    assert bodies["3"]["choices"][0]["text"] == "In Vietnam."
