"""Labelled pairs: two requests, and whether one's answer is an answer to the other."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock_shared.errors import InvalidRequest
from penstock_shared.request import Request

_NAMES: Final = {
    str: "text",
    list: "a list",
    dict: "an object",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}

Said = str | list[dict[str, str]]


class Pair(NamedTuple):
    """One line: ``a`` is asked, ``b`` was answered before; ``same`` is what a person says."""

    line: int  # from 1
    a: Request
    b: Request
    said: tuple[Said, Said]  # a and b as they stand in the file
    same: bool
    kind: str | None
    language: str | None


class InvalidPairs(ValueError):
    """The file cannot be evaluated; ``problems`` has one sentence for each bad line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class _BadLineError(ValueError):
    """What is wrong with one line, in words."""


def load_pairs(source: Path, name: str) -> list[Pair]:
    """Read a JSONL file. Raises InvalidPairs where it cannot be read (see ``read_pairs``)."""
    try:
        content = source.read_bytes()
    except OSError as error:
        raise InvalidPairs([f"{name} cannot be read: {error.strerror or error}"]) from None
    return read_pairs(content, name)


def read_pairs(content: bytes, name: str) -> list[Pair]:
    """The pairs of a JSONL file's bytes; blank lines are passed over.

    Raises InvalidPairs with every bad line and its number, or when there is no line at all.
    """
    pairs: list[Pair] = []
    problems: list[str] = []
    for number, line in _lines(content):
        try:
            pairs.append(_pair(number, _record(line)))
        except _BadLineError as error:
            problems.append(f"{name}, line {number}: {error}")
    if problems:
        raise InvalidPairs(problems)
    if not pairs:
        raise InvalidPairs([f"{name} has no pairs"])
    return pairs


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _record(line: bytes) -> Mapping[str, Any]:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _BadLineError(f"not UTF-8: {error.reason} at byte {error.start + 1}") from None
    except (ValueError, RecursionError) as error:
        raise _BadLineError(f"no JSON: {error}") from None
    if not isinstance(record, dict):
        raise _BadLineError(f"must be an object with a, b and same, and is {_kind_of(record)}")
    return record


def _pair(number: int, record: Mapping[str, Any]) -> Pair:
    problems: list[str] = []
    requests = [_request(record, field, problems) for field in ("a", "b")]
    if "same" not in record:
        problems.append("'same' is missing")
    elif not isinstance(record["same"], bool):
        problems.append(f"'same' must be true or false, and is {_kind_of(record['same'])}")
    labels = [_label(record, field, problems) for field in ("kind", "language")]
    a, b = requests
    if problems or a is None or b is None:
        raise _BadLineError("; ".join(problems))
    said = (record["a"], record["b"])
    return Pair(number, a, b, said, record["same"], labels[0], labels[1])


def _request(record: Mapping[str, Any], field: str, problems: list[str]) -> Request | None:
    said = record.get(field)
    if field not in record:
        problems.append(f"{field!r} is missing")
    elif not isinstance(said, str | list):
        problems.append(f"{field!r} must be text or a list of messages, and is {_kind_of(said)}")
    else:
        try:
            return Request.build(said)
        except InvalidRequest as error:
            problems.append(f"{field!r}: {error}")
    return None


def _label(record: Mapping[str, Any], field: str, problems: list[str]) -> str | None:
    label = record.get(field)
    if label is None or isinstance(label, str):
        return label
    problems.append(f"{field!r} must be text, and is {_kind_of(label)}")
    return None


def _kind_of(value: object) -> str:
    return _NAMES[type(value)]
