"""The input of a batch: one thing to read from, whatever it is made of."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, Self

from penstock_producer.batch.reading.bodies import check_response_format
from penstock_producer.batch.reading.corpus import Corpus
from penstock_producer.batch.reading.csv_rows import CsvRows
from penstock_producer.batch.reading.input_file import InputFile
from penstock_producer.batch.reading.jsonl_rows import JsonlRows
from penstock_producer.batch.reading.kinds import delimiter_of, kind_of
from penstock_producer.batch.reading.line import BadLine, Line
from penstock_producer.batch.reading.making import Maker
from penstock_producer.batch.reading.models import Models
from penstock_producer.batch.reading.openai_file import OpenAIFile
from penstock_producer.batch.reading.options import Format, ReadOptions
from penstock_producer.batch.reading.parquet_rows import ParquetRows
from penstock_producer.batch.reading.seen import without_duplicates
from penstock_producer.batch.reading.stamp import Stamp
from penstock_producer.batch.reading.table import Table
from penstock_shared.errors import InvalidRequest
from penstock_shared.settings import Settings

__all__ = ["ReadOptions", "Source"]

_STANDARD_INPUT: Final = "-"
_SPOOLED: Final = "standard-input"


class _Content(Protocol):
    """What each kind of input can do."""

    @property
    def columns(self) -> list[str] | None: ...
    @property
    def endpoint(self) -> str: ...
    def position(self) -> float: ...
    def digest(self) -> str: ...
    def lines(self, start: int = 1) -> Iterator[Line]: ...


class Source:
    """An input that can be read as often as one likes; ``open`` makes it.

    ``kind`` is openai, jsonl, csv, parquet or folder, ``label`` what a person calls the input,
    ``path`` where it lies (standard input: its copy), ``columns`` the columns of a table in order
    (JSONL: the keys of its first row), else None.
    """

    def __init__(
        self,
        kind: Format,
        label: str,
        path: Path,
        content: _Content,
        spool: Path,
        options: ReadOptions,
        stamp: Stamp,
    ) -> None:
        self.kind: str = kind
        self.path = path
        self.options: ReadOptions | None = options
        self.label = label
        self.stamp = stamp
        self.columns: Sequence[str] | None = content.columns
        self._content = content
        self._spool = spool

    @classmethod
    def open(cls, path: str, options: ReadOptions, settings: Settings, *, spool: Path) -> Self:
        """Find out what an input is. ``-`` is standard input.

        It is copied to a file in ``spool``, because an input is read twice. Raises InvalidRequest
        for what would be wrong with every line, and InvalidBatch for a file that is empty or
        damaged.
        """
        options.check(settings)
        if options.response_format is not None:
            _check_format(options.response_format)
        place, label = Path(path), path
        if path == _STANDARD_INPUT:
            place, label = _copied(spool), "standard input"
        stamp = Stamp(place)
        kind = kind_of(place, label, options.format)
        options.check_kind(kind, label)
        content = _content(kind, place, label, options, settings)
        return cls(kind, label, place, content, spool, options, stamp)

    @property
    def endpoint(self) -> str:
        """The url of all lines, such as /v1/chat/completions."""
        return self._content.endpoint

    @property
    def skipped(self) -> list[str]:
        """Of a folder: the files that the newest reading passed over, at most 1,000."""
        return self._content.skipped if isinstance(self._content, Corpus) else []

    @property
    def skipped_count(self) -> int:
        """How many files were passed over."""
        return self._content.skipped_count if isinstance(self._content, Corpus) else 0

    def position(self) -> float:
        """Share of the content that the newest reading has taken, 0 to 1."""
        return self._content.position()

    def digest(self) -> str:
        """SHA-256 of the content in hexadecimal digits; a folder's has names in it, too."""
        return self._content.digest()

    def lines(self, start: int = 1) -> Iterator[Line]:
        """Each line from number ``start`` on, checked; those before it are not parsed.

        Raises InvalidBatch where the file is damaged: nobody knows which lines are missing.
        """
        return self._content.lines(start)

    def checked_lines(self) -> Iterator[Line]:
        """All lines; the second one with a custom_id carries duplicate_custom_id."""
        return without_duplicates(self.lines(), self._spool)

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Of a table: each row by its number, empty where it cannot be read. Others have none."""
        return self._content.rows() if isinstance(self._content, Table) else iter(())


def _content(
    kind: Format, path: Path, name: str, options: ReadOptions, settings: Settings
) -> _Content:
    maker = Maker(options, settings)
    if kind == "folder":
        return Corpus(path, maker, options, settings)
    if kind == "openai":
        return OpenAIFile(InputFile(path), maker, Models(settings), options.endpoint)
    if kind == "jsonl":
        return Table(JsonlRows(InputFile(path)), maker, options)
    if kind == "csv":
        return Table(CsvRows(InputFile(path), delimiter_of(name)), maker, options)
    return Table(ParquetRows(path), maker, options)


def _copied(spool: Path) -> Path:
    target = spool / _SPOOLED
    with target.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1024 * 1024)
    return target


def _check_format(wanted: dict[str, Any]) -> None:
    try:
        check_response_format(wanted)
    except BadLine as bad:
        raise InvalidRequest(bad.error.message) from None
