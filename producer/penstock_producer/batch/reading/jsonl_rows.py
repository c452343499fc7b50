"""A table with one JSON object on each line."""

from collections.abc import Iterator

from penstock_producer.batch.reading.input_file import InputFile
from penstock_producer.batch.reading.line import BadLine, LineError
from penstock_producer.batch.reading.numbered import is_blank, numbered_lines
from penstock_producer.batch.reading.objects import json_object
from penstock_producer.batch.reading.rows import Row


class JsonlRows:
    """Rows by the numbers of their lines; a blank line is counted and left out."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self.columns = next((list(row.values) for row in self.read() if not row.error), [])

    def position(self) -> float:
        """Share of the file's bytes that was read."""
        return self._file.position()

    def digest(self) -> str:
        """SHA-256 of the file."""
        return self._file.digest()

    def read(self, start: int = 1) -> Iterator[Row]:
        """The rows from number ``start`` on."""
        with self._file.open() as stream:
            for number, raw in numbered_lines(stream, start):
                if isinstance(raw, LineError):
                    yield Row(number, {}, raw)
                elif not is_blank(raw):
                    yield _row(number, raw)


def _row(number: int, raw: bytes) -> Row:
    try:
        return Row(number, json_object(raw))
    except BadLine as bad:
        return Row(number, {}, bad.error)
