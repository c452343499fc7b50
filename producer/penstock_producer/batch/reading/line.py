"""One line of an input: a request, or what is wrong with it."""

from typing import NamedTuple

from penstock_shared.request import Request
from penstock_shared.routing import Route


class LineError(NamedTuple):
    """What is wrong with a line.

    ``code`` is one of invalid_json_line, duplicate_custom_id, url_mismatch, model_not_found and
    invalid_request; ``message`` is one line that says what is wrong and what to do.
    """

    code: str
    message: str
    param: str | None = None


class Routed(NamedTuple):
    """A request and the tier that it goes to."""

    request: Request
    route: Route


class Line(NamedTuple):
    """A line of a JSONL file, a row of a table or a chunk of a folder's documents.

    ``number`` counts from 1 (chunks: over all documents). ``custom_id`` is None when the line is
    too broken to have one, ``routed`` when there is an error. ``document`` is of a chunk: the
    path of its document, relative to the folder. ``parts`` are the first and the last of the lines
    that this one sums up; its last message is a template over their answers.
    """

    number: int
    custom_id: str | None
    routed: Routed | None
    error: LineError | None = None
    document: str | None = None
    parts: tuple[int, int] | None = None

    @property
    def request(self) -> Request | None:
        """What the line asks for, when nothing is wrong with it."""
        return self.routed.request if self.routed is not None else None


class BadLine(Exception):
    """Carries a LineError to where the line is made; never leaves this package.

    Names that came from the input lose what cannot be printed, so that it fits into one line of
    any file or table.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.error = LineError(code, _printable(message), param and _printable(param))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def invalid(message: str, param: str | None = None) -> BadLine:
    """A line whose request cannot be accepted as it is."""
    return BadLine("invalid_request", message, param)
