"""Values of a Parquet file become Python's; one that cannot is the error of its row."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from penstock_producer.batch.reading import Source
from tests.batch_inputs import opened

NANOSECONDS = 1_700_000_000_123_456_789
MOMENT = datetime(2023, 11, 14, 22, 13, 20, 123_456)


def source_of(path: Path, values: Any) -> Source:
    columns = {"text": [f"dòng {n}" for n in range(len(values))], "value": values}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return opened(path, template="{{ text }} {{ value }}")


def as_type(kind: Any, *values: int) -> Any:
    return pyarrow.array(values, pyarrow.int64()).view(kind)


@pytest.mark.parametrize(
    ("kind", "nanoseconds", "value"),
    [
        (pyarrow.timestamp("ns"), NANOSECONDS, MOMENT),
        (pyarrow.timestamp("ns", "UTC"), NANOSECONDS, MOMENT.replace(tzinfo=UTC)),
        (pyarrow.duration("ns"), 2_000_001, timedelta(milliseconds=2)),
        (pyarrow.time64("ns"), 2_000_001, time(microsecond=2_000)),
    ],
)
def test_nanoseconds_are_cut_to_microseconds(
    tmp_path: Path, kind: Any, nanoseconds: int, value: Any
) -> None:
    source = source_of(tmp_path / "in.parquet", as_type(kind, 0, nanoseconds, 0))
    lines = list(source.lines())
    assert [line.error for line in lines] == [None] * 3
    assert [values["value"] for _, values in source.rows()][1] == value


def test_nanoseconds_in_lists_and_objects_are_cut_too(tmp_path: Path) -> None:
    kind = pyarrow.struct([("seen", pyarrow.list_(pyarrow.timestamp("ns")))])
    values = pyarrow.array([{"seen": [NANOSECONDS]}, None, {"seen": [None]}], kind)
    source = source_of(tmp_path / "in.parquet", values)
    assert [values["value"] for _, values in source.rows()] == [
        {"seen": [MOMENT]}, None, {"seen": [None]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (pyarrow.date64(), 86_400_000 * 10**7),
        (pyarrow.timestamp("us"), 2**60),
        (pyarrow.duration("s"), 10**18),
    ],
)
def test_a_value_that_python_cannot_hold_is_the_error_of_its_row(
    tmp_path: Path, kind: Any, wrong: int
) -> None:
    source = source_of(tmp_path / "in.parquet", as_type(kind, 0, wrong, 0))
    lines = list(source.lines())
    assert [line.error is None for line in lines] == [True, False, True]
    error = lines[1].error
    assert error is not None
    assert (error.code, error.param) == ("invalid_request", "value")
    assert "column 'value' has a value that Python cannot hold" in error.message
    assert list(source.lines(3)) == lines[2:]
