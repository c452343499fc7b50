"""A table with separators: the first row names the columns, all values are text."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import Final

from penstock_producer.batch.reading.input_file import InputFile
from penstock_producer.batch.reading.line import LineError, invalid
from penstock_producer.batch.reading.numbered import MAX_LINE_BYTES, numbered_lines
from penstock_producer.batch.reading.rows import Row
from penstock_producer.batch.reading.templates import list_columns
from penstock_shared.errors import InvalidRequest

_MAX_LINES: Final = 100_000  # of one row; they are held until its last quote is closed
_UNDECODED: Final = ("\udc80", "\udcff")  # where bytes that are not UTF-8 are put


class CsvRows:
    """Rows without the header; blank lines do not count. Raises InvalidRequest for the header."""

    def __init__(self, file: InputFile, delimiter: str) -> None:
        self._file = file
        self._delimiter = delimiter
        self.columns = self._header()

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
        for number, (line, record) in enumerate(records, 1):
            if number >= start:
                yield self._row(number, line, record)

    def _records(self) -> Iterator[tuple[int, list[str] | LineError]]:
        """Each record by the number of the line on which it begins.

        After a record that cannot be read, the next one begins on the next line: a quote that
        nobody closed takes no other rows with it.
        """
        csv.field_size_limit(MAX_LINE_BYTES)
        with self._file.open() as stream:
            lines = _Lines(numbered_lines(stream))
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            while True:
                lines.begin()
                try:
                    record = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield lines.first, invalid(_problem(error, lines.count)).error
                    lines.go_back()
                else:
                    if record:
                        yield lines.first, record

    def _header(self) -> list[str]:
        _, header = next(self._records(), (0, []))
        if isinstance(header, LineError):
            raise InvalidRequest(f"{self._file.path}: the header cannot be read: {header.message}")
        check_names(header, str(self._file.path))
        return header

    def _row(self, number: int, line: int, record: list[str] | LineError) -> Row:
        if isinstance(record, LineError):
            return Row(number, {}, record, line)
        if len(record) != len(self.columns):
            message = (
                f"the row has {len(record)} fields and the header {len(self.columns)}; "
                "put quotes around a field with a separator or a line break in it"
            )
            return Row(number, {}, invalid(message).error, line)
        wrong = next(
            (c for c, v in zip(self.columns, record, strict=True) if not _is_text(v)), None
        )
        if wrong is not None:
            message = f"column {wrong!r} is not UTF-8; write the file as UTF-8"
            return Row(number, {}, invalid(message, wrong).error, line)
        return Row(number, dict(zip(self.columns, record, strict=True)), None, line)


class _Lines(Iterator[str]):
    """Lines for the csv module, which knows those of the record that is read.

    ``first`` is the number of its first line, ``count`` how many it has so far.
    """

    def __init__(self, lines: Iterator[tuple[int, bytes | LineError]]) -> None:
        self._lines = lines
        self._again: deque[tuple[int, bytes | LineError]] = deque()
        self._record: list[tuple[int, bytes | LineError]] = []

    def begin(self) -> None:
        """The next line is the first of a record."""
        self._record.clear()

    def go_back(self) -> None:
        """Give all lines of the record but the first once more."""
        self._again.extendleft(reversed(self._record[1:]))

    @property
    def first(self) -> int:
        return self._record[0][0] if self._record else 0

    @property
    def count(self) -> int:
        return len(self._record)

    def __next__(self) -> str:
        if len(self._record) >= _MAX_LINES:
            raise csv.Error(f"it goes on for more than {_MAX_LINES:,} lines")
        numbered = self._again.popleft() if self._again else next(self._lines)
        self._record.append(numbered)
        if isinstance(numbered[1], LineError):
            raise csv.Error(numbered[1].message)
        return numbered[1].decode(errors="surrogateescape")


def _problem(error: csv.Error, lines: int) -> str:
    if lines == 1 and "expected" not in str(error):
        return f"the row cannot be read: {error}"
    return (
        f"a field in quotes is not closed as it should be ({error}); close it, and write two "
        "quotes for one inside it"
    )


def check_names(columns: list[str], where: str) -> None:
    """Each column has a name of its own. Raises InvalidRequest."""
    if not all(_is_text(column) for column in columns):
        raise InvalidRequest(f"{where}: the header is not UTF-8; write the file as UTF-8")
    if len(set(columns)) < len(columns):
        raise InvalidRequest(f"{where}: a column stands there twice: {list_columns(columns)}")


def _is_text(value: str) -> bool:
    return value.isascii() or not any(_UNDECODED[0] <= letter <= _UNDECODED[1] for letter in value)
