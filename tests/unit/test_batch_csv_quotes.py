"""A quote that goes wrong is the error of its own row; no other row is lost with it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock_producer.batch.reading import Line, csv_rows
from tests.batch_inputs import lines_of


def table(path: Path, *rows: str, end: str = "\n") -> Path:
    path.write_text("id,text\n" + "".join(f"{row}\n" for row in rows).rstrip("\n") + end)
    return path


def wrong(lines: list[Line]) -> list[int]:
    return [line.number for line in lines if line.error is not None]


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("row", ['5,"oops', '5,"so "called" rows"', '5,"a"b"c"'])
@pytest.mark.parametrize("position", [1, 5, 998])
def test_a_wrong_quote_is_one_wrong_row(tmp_path: Path, row: str, position: int, end: str) -> None:
    rows = [f"{n},dòng {n}" for n in range(1, 999)]
    rows[position - 1] = row
    lines = lines_of(table(tmp_path / "in.csv", *rows, end=end))
    assert len(lines) == 998
    assert wrong(lines) == [position]
    error = lines[position - 1].error
    assert error is not None
    assert error.code == "invalid_request"
    assert error.message.startswith(f"line {position + 1} of the file: ")
    assert "quote" in error.message


def test_a_row_after_the_wrong_one_keeps_its_own_quotes(tmp_path: Path) -> None:
    rows = ['1,"oops', '2,"hai\nba"', '3,"nói ""vâng"""', '4,"oops', "5,năm"]
    lines = lines_of(table(tmp_path / "in.csv", *rows))
    assert [line.request and line.request.text for line in lines] == [
        None, "hai\nba", 'nói "vâng"', None, "năm",
    ]  # fmt: skip
    errors = [line.error.message for line in lines if line.error]
    assert errors[0].startswith("line 2 of the file: ")
    assert errors[1].startswith("line 6 of the file: ")


def test_any_error_of_a_row_names_its_line_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('id,text\n\n1,"một\nhai"\n\n2\n3, \n')
    errors = [line.error for line in lines_of(path)]
    assert errors[0] is None
    assert errors[1] is not None
    assert errors[1].message.startswith("line 6 of the file: the row has 1 fields")
    assert errors[2] is not None
    assert errors[2].message.startswith("line 7 of the file: the prompt is empty")


def test_a_row_of_too_many_lines_does_not_take_the_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "_MAX_LINES", 10)
    lines = lines_of(table(tmp_path / "in.csv", '1,"oops', *(f"{n},x" for n in range(2, 50))))
    assert (len(lines), wrong(lines)) == (49, [1])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.text('ab," \n', max_size=60), start=st.integers(1, 5))
def test_after_a_wrong_quote_the_next_line_is_read_and_a_start_gives_the_tail(
    tmp_path: Path, content: str, start: int
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"text\n{content}\nend\n")
    rows = list(csv_rows.CsvRows(csv_rows.InputFile(path), ",").read())
    filled = [n for n, line in enumerate(path.read_text().split("\n"), 1) if line and n > 1]
    assert rows[0].line == filled[0]
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        following = next((n for n in filled if n > (row.line or 0)), None)
        if row.error is not None and "closed" in row.error.message:
            assert (after and after.line) == following
    again = list(csv_rows.CsvRows(csv_rows.InputFile(path), ",").read(start))
    assert again == rows[start - 1 :]
