"""What a table's file gives, whatever its format."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from penstock_producer.batch.reading.line import LineError


class Row(NamedTuple):
    """One row by its number (1-based); ``values`` is empty where ``error`` says why.

    ``line`` is where it begins in the file, when the number does not say that.
    """

    number: int
    values: dict[str, Any]
    error: LineError | None = None
    line: int | None = None


class Rows(Protocol):
    """A table's file."""

    columns: list[str]

    def position(self) -> float:
        """Share of the file that the newest reading has taken, 0 to 1."""

    def digest(self) -> str:
        """SHA-256 of the file."""

    def read(self, start: int = 1) -> Iterator[Row]:
        """The rows from number ``start`` on."""
