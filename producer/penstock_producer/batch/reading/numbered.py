"""The lines of a file with their numbers, in bounded memory whatever the file holds."""

from collections.abc import Iterator
from typing import BinaryIO, Final

from penstock_producer.batch.reading.input_file import DAMAGE, damaged
from penstock_producer.batch.reading.line import LineError

MAX_LINE_BYTES: Final = 8 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_TOO_LONG: Final = LineError(
    "invalid_request",
    f"line too long: it has more than {MAX_LINE_BYTES:,} bytes; split it",
)


def numbered_lines(stream: BinaryIO, start: int = 1) -> Iterator[tuple[int, bytes | LineError]]:
    """Each line from number ``start`` on, with its line break, or what is wrong with it.

    A line that is too long is passed over without holding it. Raises InvalidBatch where a
    compressed file is damaged.
    """
    number = 1
    try:
        while number < start:
            if _next_line(stream) is None:
                return
            number += 1
        while (line := _next_line(stream)) is not None:
            if number == 1 and isinstance(line, bytes):
                line = line.removeprefix(_BOM)
            yield number, line
            number += 1
    except DAMAGE as error:
        raise damaged(error, number - 1) from None


def is_blank(raw: bytes) -> bool:
    """True for a line with nothing on it."""
    return not raw or raw.isspace()


def _next_line(stream: BinaryIO) -> bytes | LineError | None:
    line = stream.readline(MAX_LINE_BYTES + 1)
    if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
        return line or None
    while line and not line.endswith(b"\n"):
        line = stream.readline(MAX_LINE_BYTES)
    return _TOO_LONG
