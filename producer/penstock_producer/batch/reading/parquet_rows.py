"""A table in Parquet, read batch by batch.

Nanoseconds are cut to microseconds, because Python's times have no more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from penstock_producer.batch.reading.csv_rows import check_names
from penstock_producer.batch.reading.input_file import InputFile, damaged, missing_extra
from penstock_producer.batch.reading.line import LineError, invalid
from penstock_producer.batch.reading.rows import Row
from penstock_shared.errors import InvalidRequest

_BATCH_ROWS: Final = 512
_BUFFER_BYTES: Final = 1024 * 1024
_NO_VALUE: Final = (ValueError, OverflowError, LookupError)  # years of 10,000, unknown time zones


class ParquetRows:
    """Rows with the values that pyarrow makes of them. Raises InvalidRequest when it is none."""

    def __init__(self, path: Path) -> None:
        self._file = InputFile(path)
        self._number = 0
        try:
            with _opened(path) as table:
                self.columns: list[str] = table.schema_arrow.names
                self._groups = [
                    table.metadata.row_group(n).num_rows for n in range(table.num_row_groups)
                ]
        except _damage() as error:
            raise InvalidRequest(f"{path} is no Parquet file: {_first_line(error)}") from None
        check_names(self.columns, str(path))

    def position(self) -> float:
        """Share of the rows that was read."""
        return self._number / (sum(self._groups) or 1)

    def digest(self) -> str:
        """SHA-256 of the file."""
        return self._file.digest()

    def read(self, start: int = 1) -> Iterator[Row]:
        """The rows from number ``start`` on; whole groups of rows before it are not read.

        Raises InvalidBatch where the file is damaged.
        """
        first_group, number = self._group_of(start)
        try:
            with _opened(self._file.path) as table:
                groups = range(first_group, len(self._groups))
                for batch in table.iter_batches(_BATCH_ROWS, row_groups=list(groups)):
                    skipped = min(max(0, start - number - 1), batch.num_rows)
                    number += skipped
                    for values in _values(batch.slice(skipped)):
                        number += 1
                        self._number = number
                        if isinstance(values, LineError):
                            yield Row(number, {}, values)
                        else:
                            yield Row(number, values)
        except _damage() as error:
            raise damaged(error, number) from None

    def _group_of(self, start: int) -> tuple[int, int]:
        """The group of rows with row ``start``, and how many rows stand before the group."""
        before = 0
        for group, rows in enumerate(self._groups):
            if start <= before + rows:
                return group, before
            before += rows
        return len(self._groups), before


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("a Parquet file", "pyarrow") from None
    # With a buffer, the pages of a column are streamed and not held together.
    table = pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    try:
        yield table
    finally:
        table.close()


def _values(batch: Any) -> Iterator[dict[str, Any] | LineError]:
    """Each row of a batch; where Python has no value for one of it, why."""
    wanted = _in_microseconds(batch.schema)
    if wanted != batch.schema:
        batch = batch.cast(wanted, safe=False)
    try:
        yield from batch.to_pylist()
    except _NO_VALUE:
        for row in range(batch.num_rows):
            yield _row(batch, row)


def _row(batch: Any, row: int) -> dict[str, Any] | LineError:
    values: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            values[name] = column[row].as_py()
        except _NO_VALUE as error:
            message = f"column {name!r} has a value that Python cannot hold: {_first_line(error)}"
            return invalid(message, name).error
    return values


def _in_microseconds(schema: Any) -> Any:
    import pyarrow

    return pyarrow.schema([each.with_type(_coarser(each.type)) for each in schema])


def _coarser(kind: Any) -> Any:
    """The same type, without nanoseconds in it."""
    import pyarrow
    from pyarrow import types

    if getattr(kind, "unit", None) == "ns":
        if types.is_timestamp(kind):
            return pyarrow.timestamp("us", kind.tz)
        return pyarrow.duration("us") if types.is_duration(kind) else pyarrow.time64("us")
    if types.is_list(kind) or types.is_large_list(kind):
        make = pyarrow.list_ if types.is_list(kind) else pyarrow.large_list
        return make(kind.value_field.with_type(_coarser(kind.value_type)))
    if types.is_struct(kind):
        return pyarrow.struct([each.with_type(_coarser(each.type)) for each in kind])
    return kind


def _damage() -> tuple[type[BaseException], ...]:
    try:
        import pyarrow
    except ImportError:
        return ()
    return (pyarrow.ArrowException, OSError)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300]
