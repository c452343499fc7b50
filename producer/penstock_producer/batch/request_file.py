"""Requests from a program, in a file so that they can be read twice, however many they are."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock_producer.batch.reading import (
    BadLine,
    Line,
    LineError,
    ReadOptions,
    routed,
    without_duplicates,
)
from penstock_producer.batch.reading.options import CHAT, COMPLETIONS, EMBEDDINGS
from penstock_producer.batch.reading.stamp import Stamp
from penstock_shared.errors import PenstockError
from penstock_shared.request import Request
from penstock_shared.settings import Settings
from penstock_shared.words import RequestKind

_ENDPOINTS = {
    RequestKind.CHAT: CHAT,
    RequestKind.COMPLETION: COMPLETIONS,
    RequestKind.EMBEDDING: EMBEDDINGS,
}


class Item(NamedTuple):
    """One thing that a program wants answered; without ``custom_id`` it gets its number."""

    custom_id: str | None
    request: Request


class RequestFile:
    """An input as ``inputs.Input`` wants it: one request on each line, as JSON."""

    kind = "openai"
    columns: Sequence[str] | None = None
    options: ReadOptions | None = None

    def __init__(self, path: Path, label: str, settings: Settings) -> None:
        self.path = path
        self.label = label
        self.stamp = Stamp(path)
        self._settings = settings
        self._read_bytes = 0

    @property
    def endpoint(self) -> str:
        """That of the first request; a program's requests are of one kind."""
        first = next(self.lines(), None)
        is_one = first is not None and first.request is not None
        return _ENDPOINTS[first.request.kind if is_one else RequestKind.CHAT]  # type: ignore[union-attr]

    def lines(self, start: int = 1) -> Iterator[Line]:
        """The requests from number ``start`` on."""
        self._read_bytes = 0
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                self._read_bytes += len(raw)
                if number >= start:
                    yield _line(number, raw, self._settings)

    def checked_lines(self) -> Iterator[Line]:
        """All of them; the second one with a custom_id carries duplicate_custom_id."""
        return without_duplicates(self.lines(), self.path.parent)

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """None: it is no table."""
        return iter(())

    def digest(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def position(self) -> float:
        """Share that the newest reading has taken."""
        return self._read_bytes / max(1, self.path.stat().st_size)


def spooled(items: Iterable[Any], read: Callable[[int, Any], Item], path: Path) -> Path:
    """Write items to a file; one at a time is in memory."""
    with path.open("wb") as file:
        for number, item in enumerate(items, start=1):
            file.write(_raw(*read(number, item)))
    return path


def _raw(custom_id: str | None, request: Request) -> bytes:
    name = json.dumps(custom_id)
    body = request.model_dump_json(exclude_defaults=True)
    return f'{{"custom_id":{name},"request":{body}}}\n'.encode()


def _line(number: int, raw: bytes, settings: Settings) -> Line:
    try:
        values = json.loads(raw)
        made = routed(Request.model_validate(values["request"]), settings)
    except (KeyError, TypeError, ValueError) as error:
        wrong = LineError("invalid_request", str(error).partition("\n")[0])
        return Line(number, None, None, wrong)
    except BadLine as bad:
        return Line(number, None, None, bad.error)
    except PenstockError as error:
        return Line(number, None, None, LineError("invalid_request", error.message))
    return Line(number, values["custom_id"] or str(number), made)
