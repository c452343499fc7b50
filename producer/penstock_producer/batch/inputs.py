"""What a batch needs of its input; ``reading.Source`` has it, and so has a file of requests."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from penstock_producer.batch.reading import Line, ReadOptions
from penstock_producer.batch.reading.stamp import Stamp


class Input(Protocol):
    """An input that can be read as often as one likes, with the same lines each time.

    ``kind`` is openai, jsonl, csv, parquet or folder; ``options`` say how it is read. ``path`` is
    where it lies; standard input is copied to a file. ``stamp`` is of the moment before anything
    was read.
    """

    kind: str
    label: str
    path: Path
    stamp: Stamp
    options: ReadOptions | None

    @property
    def columns(self) -> Sequence[str] | None:
        """Those of a table."""

    @property
    def endpoint(self) -> str:
        """The url of all lines, such as /v1/chat/completions."""

    def lines(self, start: int = 1) -> Iterator[Line]:
        """Each line from number ``start`` on; numbers grow, and may leave some out."""

    def checked_lines(self) -> Iterator[Line]:
        """All lines; the second one with a custom_id carries duplicate_custom_id."""

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Of a table: each row by its number, empty where it cannot be read."""

    def digest(self) -> str:
        """SHA-256 of the content, and of how it is cut, in hexadecimal digits."""

    def position(self) -> float:
        """Share of the content that the newest reading has taken, 0 to 1."""
