"""Outputs that are tables: the input's columns and ours, as JSON Lines or CSV."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.json_records import json_pieces
from penstock_producer.batch.layouts import Foreign, Piece, Written
from penstock_producer.batch.table_columns import TableColumns

_NUL: Final = "\x00"
_LINE_END: Final = "\r\n"  # so that fields with either of the two are quoted
_LONGEST_FIELD: Final = 64 * 1024 * 1024


class _Recognised:
    def __init__(self, batch_id: str, columns: TableColumns) -> None:
        self._batch_id = batch_id
        self._columns = columns

    def values(self, ended: EndedLine, row: Mapping[str, Any] | None) -> dict[str, Any]:
        own = self._columns.values(self._batch_id, ended)
        # JSON Lines may have a name on one line that its first line has not.
        given = {k if k not in own else f"input_{k}": v for k, v in (row or {}).items()}
        return given | own

    def recognise(self, values: Mapping[str, Any]) -> Written:
        called = self._columns.added
        batch_id = values[called["penstock_batch"]]
        if batch_id != self._batch_id:
            raise Foreign(f"it belongs to batch {batch_id}")
        return Written(
            int(values[called["penstock_line"]]),
            bool(values[called["error"]]),
            values[called["cached"]] in (True, "true"),
            int(values[called["prompt_tokens"]] or 0),
            int(values[called["completion_tokens"]] or 0),
        )


class JsonTable(_Recognised):
    """One JSON object for each row."""

    header: bytes = b""

    def __init__(self, batch_id: str, columns: TableColumns) -> None:
        super().__init__(batch_id, columns)
        self._beginning = json.dumps({columns.added["penstock_batch"]: batch_id})[:-1].encode()

    def render(self, ended: EndedLine, row: Mapping[str, Any] | None = None) -> bytes:
        """One row."""
        values = self._identity(ended.line) | self.values(ended, row)
        return json.dumps(values, ensure_ascii=False, default=str).encode(errors="replace") + b"\n"

    def pieces(self, stream: BinaryIO) -> Iterator[Piece]:
        """See Layout."""
        return json_pieces(stream, self.recognise)

    def may_begin(self, content: bytes) -> bool:
        """See Layout."""
        return content.startswith(self._beginning) or self._beginning.startswith(content)

    def _identity(self, line: int) -> dict[str, Any]:
        """What each object begins with."""
        called = self._columns.added
        return {called["penstock_batch"]: self._batch_id, called["penstock_line"]: line}


class CsvTable(_Recognised):
    """Rows under a header, with commas or tabs between the fields."""

    def __init__(self, batch_id: str, columns: TableColumns, delimiter: str = ",") -> None:
        super().__init__(batch_id, columns)
        self._delimiter = delimiter
        self.header = _csv_record(columns.names, delimiter)

    def render(self, ended: EndedLine, row: Mapping[str, Any] | None = None) -> bytes:
        """One row."""
        values = self.values(ended, row)
        cells = tuple(_cell(values.get(name)) for name in self._columns.names)
        return _csv_record(cells, self._delimiter)

    def pieces(self, stream: BinaryIO) -> Iterator[Piece]:
        """See Layout."""
        csv.field_size_limit(_LONGEST_FIELD)
        lines = _WholeLines(stream)
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        names = self._columns.names
        is_header = True
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if lines.is_over:  # within quotes
                    return
                raise Foreign(f"it is no row that Penstock wrote: {error}") from None
            if is_header:
                if tuple(record) != names:
                    raise Foreign("its header is another one")
                yield Piece(lines.end, None)
                is_header = False
            else:
                yield Piece(lines.end, self._row(record))

    def may_begin(self, content: bytes) -> bool:
        """See Layout."""
        return self.header.startswith(content) or content.startswith(self.header)

    def _row(self, record: list[str]) -> Written:
        try:
            return self.recognise(dict(zip(self._columns.names, record, strict=True)))
        except (KeyError, ValueError):
            raise Foreign("it is no row that Penstock wrote") from None


class _WholeLines(Iterator[str]):
    """Lines of a file until one that was cut off or holds a NUL byte; ``end`` is their end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.end = 0
        self.is_over = False

    def __next__(self) -> str:
        raw = self._stream.readline(_LONGEST_FIELD)
        if b"\x00" in raw or not raw.endswith(b"\n"):
            self.is_over = True
            raise StopIteration
        self.end += len(raw)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Foreign("it is not UTF-8") from None


def _csv_record(values: tuple[Any, ...], delimiter: str) -> bytes:
    record = io.StringIO()
    csv.writer(record, delimiter=delimiter, lineterminator=_LINE_END).writerow(values)
    text = record.getvalue().removesuffix(_LINE_END) + "\n"
    return text.replace(_NUL, "\ufffd").encode(errors="replace")


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value
