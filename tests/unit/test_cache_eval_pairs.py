"""Labelled pairs: what is read, and that every bad line is named."""

import json
from pathlib import Path

import pytest

from penstock_workers.cache.evaluating.pairs import InvalidPairs, load_pairs, read_pairs

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]


def lines(*records: object) -> bytes:
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode()


def test_text_and_messages_are_read_with_their_line_and_labels() -> None:
    text = {"a": "Thủ đô?", "b": "Why?", "same": False, "kind": "x", "language": "vi", "note": 1}
    first, second = read_pairs(
        b"\xef\xbb\xbf" + lines(text) + b"\r\n\n" + lines({"a": "A", "b": MESSAGES, "same": True}),
        "pairs",
    )
    assert (first.line, first.a.question, first.same) == (1, "Thủ đô?", False)
    assert (first.kind, first.language) == ("x", "vi")
    assert (second.line, second.b.question, second.same) == (3, "Why?", True)
    assert [message.role for message in second.b.messages] == ["system", "user"]
    assert second.said == ("A", MESSAGES)
    assert second.kind is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "must be an object with a, b and same, and is a list"),
        (b'{"a": "\xff"}', "not UTF-8: invalid start byte at byte 8"),
        (lines({"a": "A", "same": True}), "'b' is missing"),
        (lines({"a": "A", "b": "B"}), "'same' is missing"),
        (lines({"a": "A", "b": "B", "same": 1}), "'same' must be true or false, and is a number"),
        (lines({"a": None, "b": "B", "same": True}), "'a' must be text or a list of messages"),
        (lines({"a": " ", "b": "B", "same": True}), "'a': the prompt is empty"),
        (lines({"a": [], "b": "B", "same": True}), "'a': messages"),
        (lines({"a": MESSAGES[:1], "b": "B", "same": True}), "'a': the prompt is empty"),
        (b'{"a": "\\ud800", "b": "B", "same": true}', "'a': the prompt is not valid Unicode"),
        (lines({"a": "A", "b": "B", "same": True, "kind": 3}), "'kind' must be text"),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(line: bytes, problem: str) -> None:
    with pytest.raises(InvalidPairs) as raised:
        read_pairs(lines({"a": "A", "b": "B", "same": True}) + b"\n\n" + line, "pairs")
    (told,) = raised.value.problems
    assert told.startswith("pairs, line 3: ")
    assert problem in told


def test_all_bad_lines_and_all_their_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidPairs) as raised:
        read_pairs(lines({"a": "A"}, {"a": "A", "b": "B", "same": True}, {"b": 1}), "pairs")
    assert raised.value.problems == (
        "pairs, line 1: 'b' is missing; 'same' is missing",
        "pairs, line 3: 'a' is missing; 'b' must be text or a list of messages, and is a number; "
        "'same' is missing",
    )


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_pairs_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidPairs, match="pairs has no pairs"):
        read_pairs(content, "pairs")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(InvalidPairs, match=r"cannot be read: (Is a directory|No such file)"):
            load_pairs(place, str(place))
