"""A table with separators: the first row names the columns, all values are text."""

import csv
from collections.abc import Iterator
from typing import Final

from penstock_producer.batch.reading.input_file import InputFile
from penstock_producer.batch.reading.line import LineError, invalid
from penstock_producer.batch.reading.numbered import MAX_LINE_BYTES, numbered_lines
from penstock_producer.batch.reading.rows import Row
from penstock_producer.batch.reading.templates import list_columns
from penstock_shared.errors import InvalidRequest

_UNDECODED: Final = ("\udc80", "\udcff")  # where bytes that are not UTF-8 are put


class CsvRows:
    """Rows without the header; blank lines do not count. Raises InvalidRequest for the header."""

    def __init__(self, file: InputFile, delimiter: str) -> None:
        self._file = file
        self._delimiter = delimiter
        self.columns = self._header()

    @property
    def size_bytes(self) -> int:
        """Size of the file as it lies there."""
        return self._file.size_bytes

    def position(self) -> float:
        """Share of the file's bytes that was read."""
        return self._file.position()

    def digest(self) -> str:
        """SHA-256 of the file."""
        return self._file.digest()

    def read(self, start: int = 1) -> Iterator[Row]:
        """The rows from number ``start`` on."""
        records = self._records()
        next(records, None)
        for number, record in enumerate(records, 1):
            if number >= start:
                yield self._row(number, record)

    def _records(self) -> Iterator[list[str] | LineError]:
        csv.field_size_limit(MAX_LINE_BYTES)
        with self._file.open() as stream:
            reader = csv.reader(_Lines(numbered_lines(stream)), delimiter=self._delimiter)
            while True:
                try:
                    record = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield invalid(f"the row cannot be read: {error}").error
                else:
                    if record:
                        yield record

    def _header(self) -> list[str]:
        header = next(self._records(), [])
        if isinstance(header, LineError):
            raise InvalidRequest(f"{self._file.path}: the header cannot be read: {header.message}")
        check_names(header, str(self._file.path))
        return header

    def _row(self, number: int, record: list[str] | LineError) -> Row:
        if isinstance(record, LineError):
            return Row(number, {}, record)
        if len(record) != len(self.columns):
            message = (
                f"the row has {len(record)} fields and the header {len(self.columns)}; "
                "put quotes around a field with a separator or a line break in it"
            )
            return Row(number, {}, invalid(message).error)
        wrong = next(
            (c for c, v in zip(self.columns, record, strict=True) if not _is_text(v)), None
        )
        if wrong is not None:
            message = f"column {wrong!r} is not UTF-8; write the file as UTF-8"
            return Row(number, {}, invalid(message, wrong).error)
        return Row(number, dict(zip(self.columns, record, strict=True)))


class _Lines(Iterator[str]):
    """Lines for the csv module; after an error it goes on with the next one."""

    def __init__(self, lines: Iterator[tuple[int, bytes | LineError]]) -> None:
        self._lines = lines

    def __next__(self) -> str:
        _, raw = next(self._lines)
        if isinstance(raw, LineError):
            raise csv.Error(raw.message)
        return raw.decode(errors="surrogateescape")


def check_names(columns: list[str], where: str) -> None:
    """Each column has a name of its own. Raises InvalidRequest."""
    if not all(_is_text(column) for column in columns):
        raise InvalidRequest(f"{where}: the header is not UTF-8; write the file as UTF-8")
    if len(set(columns)) < len(columns):
        raise InvalidRequest(f"{where}: a column stands there twice: {list_columns(columns)}")


def _is_text(value: str) -> bool:
    return value.isascii() or not any(_UNDECODED[0] <= letter <= _UNDECODED[1] for letter in value)
