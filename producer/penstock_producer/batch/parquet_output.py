"""A table in Parquet: the input's columns with the types that they have, and ours."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.reading.input_file import missing_extra
from penstock_producer.batch.table_columns import TableColumns
from penstock_shared.errors import InvalidBatch

_GROUP: Final = 2_000
_MARK: Final = b"penstock_batch"
_NUMBERS: Final = ("prompt_tokens", "completion_tokens", "attempts", "penstock_line")


class ParquetOutput:
    """Writes rows one after the other to a file that is complete after ``with``.

    Given columns have the types of the Parquet file ``input_path``, without one they are text.
    """

    def __init__(
        self, path: Path, batch_id: str, columns: TableColumns, input_path: Path | None
    ) -> None:
        self._batch_id = batch_id
        self._columns = columns
        self._schema = _schema(batch_id, columns, input_path)
        self._writer = _parquet().ParquetWriter(path, self._schema)
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()

    def add(self, ended: EndedLine, row: Mapping[str, Any] | None) -> None:
        """Write one row."""
        values = dict(row or {}) | self._columns.values(self._batch_id, ended)
        cost = self._columns.added["cost_usd"]
        values[cost] = ended.result.charge_usd if ended.result else None
        self._rows.append(values)
        if len(self._rows) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            import pyarrow

            self._writer.write_table(pyarrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def check_parquet(path: Path, batch_id: str, columns: TableColumns) -> None:
    """Raises InvalidBatch when a file is there that is not of this batch, or has other columns."""
    if not path.exists() or not path.stat().st_size:
        return
    try:
        schema = _parquet().read_schema(path)
    except (OSError, ValueError):
        schema = None
    if schema is None or (schema.metadata or {}).get(_MARK) != batch_id.encode():
        raise InvalidBatch(
            f"{path} is no file of batch {batch_id}; move it away, or write to another one"
        )
    if tuple(schema.names) != columns.names:
        raise InvalidBatch(f"{path} has other columns; move it away, or write to another one")


def _schema(batch_id: str, columns: TableColumns, input_path: Path | None) -> Any:
    parquet = _parquet()
    import pyarrow

    if input_path is None:
        given = [pyarrow.field(name, pyarrow.string()) for name in columns.given]
    else:  # a row that cannot be read has no values, whatever its column allows
        schema = parquet.read_schema(input_path)
        given = [schema.field(name).with_nullable(True) for name in columns.given]
    types = {
        **dict.fromkeys(_NUMBERS, pyarrow.int64()),
        "cached": pyarrow.bool_(),
        "cost_usd": pyarrow.decimal128(31, 12),
    }
    added = [
        pyarrow.field(called, types.get(name, pyarrow.string()))
        for name, called in columns.added.items()
    ]
    return pyarrow.schema([*given, *added], metadata={_MARK: batch_id})


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("a Parquet file", "pyarrow") from None
    return pyarrow.parquet
