"""A table in Parquet, read batch by batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from penstock_producer.batch.reading.csv_rows import check_names
from penstock_producer.batch.reading.input_file import InputFile, missing_extra
from penstock_producer.batch.reading.line import invalid
from penstock_producer.batch.reading.rows import Row
from penstock_shared.errors import InvalidRequest

_BATCH_ROWS: Final = 512
_BUFFER_BYTES: Final = 1024 * 1024


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

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self._file.size_bytes

    def position(self) -> float:
        """Share of the rows that was read."""
        return self._number / (sum(self._groups) or 1)

    def digest(self) -> str:
        """SHA-256 of the file."""
        return self._file.digest()

    def read(self, start: int = 1) -> Iterator[Row]:
        """The rows from number ``start`` on; whole groups of rows before it are not read."""
        first_group, number = self._group_of(start)
        try:
            with _opened(self._file.path) as table:
                groups = range(first_group, len(self._groups))
                for batch in table.iter_batches(_BATCH_ROWS, row_groups=list(groups)):
                    skipped = min(max(0, start - number - 1), batch.num_rows)
                    number += skipped
                    for values in batch.slice(skipped).to_pylist():
                        number += 1
                        self._number = number
                        yield Row(number, values)
        except _damage() as error:
            message = f"the file is damaged from here on: {_first_line(error)}"
            yield Row(number + 1, {}, invalid(message).error)

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


def _damage() -> tuple[type[BaseException], ...]:
    try:
        import pyarrow
    except ImportError:
        return ()
    return (pyarrow.ArrowException, OSError, ValueError)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300]
