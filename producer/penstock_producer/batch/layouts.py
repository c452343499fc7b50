"""What the lines of an output look like, and how they are recognised again."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple, Protocol

from penstock_producer.batch.ended_line import EndedLine


class Written(NamedTuple):
    """A line of the batch that stands in an output already."""

    line: int
    is_failed: bool
    cached: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Piece(NamedTuple):
    """A complete record of an output: it ends before byte ``end``. A header has no line."""

    end: int
    written: Written | None


class Foreign(Exception):
    """A complete record that this batch did not write; never leaves this package."""


class Layout(Protocol):
    """One way to write lines.

    ``pieces`` reads records until the first that was cut off or holds a NUL byte, which none of
    ours does: what a machine had not yet written when it stopped. It raises Foreign.
    """

    @property
    def header(self) -> bytes:
        """What the file begins with."""

    def render(self, ended: EndedLine, row: Mapping[str, Any] | None) -> bytes:
        """One record; ``row`` are the columns of the input."""

    def pieces(self, stream: BinaryIO) -> Iterator[Piece]:
        """The records that stand in a file, from its first byte on."""

    def may_begin(self, content: bytes) -> bool:
        """Whether a file of this batch can begin with these bytes."""
