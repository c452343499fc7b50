"""Rows of a table become prompts, the same ones in each format."""

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock_producer.batch.reading import Line
from penstock_producer.batch.reading.csv_rows import CsvRows
from penstock_producer.batch.reading.input_file import InputFile
from penstock_shared.errors import InvalidBatch, InvalidRequest
from tests.batch_inputs import lines_of, opened, packed, write_lines

Rows = list[dict[str, str]]
REVIEWS: Rows = [
    {"id": "r1", "text": "Phở rất ngon,\nphục vụ \"tốt\"", "city": "Hà Nội"},
    {"id": "r2", "text": "Chờ lâu quá", "city": "Huế"},
    {"id": "r3", "text": "Bình thường", "city": "Đà Nẵng"},
]  # fmt: skip
FORMATS = ["rows.jsonl", "rows.csv", "rows.tsv", "rows.parquet", "rows.csv.gz", "rows.jsonl.zst"]


def write(path: Path, rows: Rows, columns: list[str]) -> Path:
    if ".parquet" in path.name:
        table = pyarrow.Table.from_pylist(rows, pyarrow.schema([(c, "string") for c in columns]))
        pyarrow.parquet.write_table(table, path, row_group_size=3)
        return path
    if ".jsonl" in path.name:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        return packed(path, text.encode())
    plain = path.with_suffix(".plain")
    with plain.open("w", newline="", encoding="utf-8-sig") as file:
        delimiter = "\t" if ".tsv" in path.name else ","
        writer = csv.DictWriter(file, columns, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return packed(path, plain.read_bytes())


def prompts(lines: list[Line]) -> list[str | None]:
    return [line.request and line.request.text for line in lines]


def complaint(lines: list[Line], position: int = 0) -> tuple[str, str | None]:
    error = lines[position].error
    assert error is not None
    assert error.code == "invalid_request"
    assert "\n" not in error.message
    return error.message, error.param


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_lines(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, REVIEWS, list(REVIEWS[0]))
    options = {"template": "{{ city }}: {{ text }}", "system": "Khen hay chê?", "id_column": "id"}
    source = opened(path, **options)
    lines = list(source.lines())
    assert [line.custom_id for line in lines] == ["r1", "r2", "r3"]
    assert prompts(lines)[0] == 'Khen hay chê?\nHà Nội: Phở rất ngon,\nphục vụ "tốt"'
    assert source.columns == ["id", "text", "city"]
    assert list(source.rows()) == list(enumerate(REVIEWS, 1))
    assert source.position() == 1.0


_COLUMNS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5),
    unique=True, max_size=3,
).map(lambda names: ["text", *(f"c {name}" for name in names)])  # fmt: skip
_VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Rows, list[str]]:
    columns = draw(_COLUMNS)
    rows = st.fixed_dictionaries(dict.fromkeys(columns, _VALUES))
    return draw(st.lists(rows, min_size=1, max_size=8)), columns


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(), start=st.integers(1, 9))
@pytest.mark.parametrize("name", FORMATS)
def test_any_rows_come_back_and_a_start_gives_the_tail(
    tmp_path: Path, name: str, table: tuple[Rows, list[str]], start: int
) -> None:
    rows, columns = table
    source = opened(write(tmp_path / name, rows, columns))
    lines = list(source.lines())
    assert [values for _, values in source.rows()] == rows
    assert [line.custom_id for line in lines] == [str(n + 1) for n in range(len(rows))]
    for line, row in zip(lines, rows, strict=True):
        if line.request is None:
            assert not row["text"].strip() or "\0" in row["text"]
        else:
            assert line.request.text == row["text"]
    assert list(source.lines(start)) == lines[start - 1 :]


def test_a_row_without_a_column_of_the_template_names_it(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", [{"a": 1, "b": None}, {"b": 2}])
    lines = lines_of(path, template="{{ a }}{{ b }} hai")
    assert prompts(lines) == ["1 hai", None]
    message, param = complaint(lines, 1)
    assert param == "a"
    assert "'b'" in message


@pytest.mark.parametrize(
    "template", ["{{ a + 'x' }}", "{{ 1 / 0 }}", "{{ a.b.c }}", "{{ a.__class__.mro() }}"]
)
def test_a_template_that_fails_over_a_row_is_that_rows_error(tmp_path: Path, template: str) -> None:
    path = write_lines(tmp_path / "in.jsonl", [{"a": 1}])
    complaint(lines_of(path, template=template))


def test_a_template_that_is_none_is_refused_before_any_row(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", [{"a": 1}])
    with pytest.raises(InvalidRequest, match="the template, line 1"):
        opened(path, template="{{ a ")
    with pytest.raises(InvalidRequest, match="the columns are 'a'"):
        opened(path)
    with pytest.raises(InvalidRequest, match="there is no column 'id'; there are 'a'"):
        opened(path, template="x", id_column="id")


def test_a_prompt_column_needs_no_template_and_row_has_names_with_blanks(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", [{"prompt": "sông", "my id": 7}])
    assert prompts(lines_of(path)) == ["sông"]
    assert prompts(lines_of(path, template="{{ row['my id'] }}")) == ["7"]
    assert lines_of(path, id_column="my id")[0].custom_id == "7"


def test_an_id_column_without_a_value_is_an_error(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", [{"text": "a", "id": None}, {"text": "b"}])
    lines = lines_of(path, id_column="id")
    assert [line.custom_id for line in lines] == [None, None]
    assert complaint(lines)[1] == complaint(lines, 1)[1] == "id"


def test_a_broken_row_of_csv_does_not_hide_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    huge = "x" * 300_000
    content = f'text,n\n\nmột,1\nhai\nb\xff,3\n"ba",4\nbon,{huge}\n'
    path.write_bytes(content.encode("latin-1", errors="replace").replace(b"m?t", b"mot"))
    source = opened(path)
    lines = list(source.lines())
    assert prompts(lines) == ["mot", None, None, "ba", "bon"]
    assert "1 fields and the header 2" in complaint(lines, 1)[0]
    assert "not UTF-8" in complaint(lines, 2)[0]
    assert [number for number, _ in source.rows()] == [1, 2, 3, 4, 5]
    assert list(source.lines(3)) == lines[2:]


def test_a_quote_that_is_never_closed_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('text\n"a\n' + "x" * 99 + "\n" + ("y" * 1023 + "\n") * 9_000)
    lines = lines_of(path)
    assert "field larger than" in complaint(lines)[0]
    assert len(lines) > 100


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"a,a\n1,2\n", "stands there twice"), (b"\xff\n", "not UTF-8")],
)
def test_a_header_that_names_nothing_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=why):
        opened(path)


@given(content=st.binary(max_size=200))
def test_random_bytes_are_rows_or_errors(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.csv"
    path.write_bytes(b"text,b\n" + content)
    for row in CsvRows(InputFile(path), ",").read():
        assert bool(row.values) != bool(row.error)


def test_parquet_gives_dates_numbers_and_nothing(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    rows: list[dict[str, Any]] = [{"d": date(2026, 11, 23), "n": 3, "s": None}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert prompts(lines_of(path, template="{{ d.year }} {{ n }}[{{ s }}]")) == ["2026 3[]"]


def test_parquet_that_is_none_or_is_damaged_says_so(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InvalidRequest, match="is no Parquet file"):
        opened(path)
    write(path, [{"text": f"{n} nước"} for n in range(9)], ["text"])
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    with pytest.raises(InvalidBatch, match="damaged or cut off after line 0"):
        lines_of(path)


def test_rows_may_be_embedded(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", [{"text": "sông"}])
    options: dict[str, Any] = {"sampling": {"min_tokens": 5}, "endpoint": "/v1/embeddings"}
    request = lines_of(path, **options)[0].request
    assert request is not None
    assert request.kind == "embedding"
