"""An answer has the form that was asked for, or a reason that names the place."""

import itertools
import json
from types import SimpleNamespace
from typing import Any

import pytest

from penstock_shared.request import Request
from penstock_workers import structured
from penstock_workers.structured import mismatch

CITY = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "people": {"type": "array", "items": {"minimum": 0}},
    },
    "required": ["name"],
}


def why(text: str, schema: dict[str, Any] | None = None, *, cut: bool = False) -> str | None:
    named = {"name": "a_city", "schema": CITY if schema is None else schema}
    wanted = {"type": "json_schema", "json_schema": named}
    return mismatch(
        text, Request.build("Hi", response_format=wanted).response_format, is_cut_off=cut
    )


def test_an_answer_that_matches_is_right() -> None:
    assert why('{"name": "Huế", "people": [0, 1]}') is None
    assert why('{"name": "Huế"}', cut=True) is None


def test_without_a_format_any_text_is_right() -> None:
    assert mismatch("no JSON", None, is_cut_off=True) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"people": []}', 'at $: required is ["name"]'),
        ('{"name": 7}', 'at $.name: type is "string"'),
        ('{"name": "a", "people": [0, -1]}', "at $.people[1]: minimum is 0"),
        ("[]", 'at $: type is "object"'),
    ],
)
def test_a_wrong_answer_is_told_where_and_by_which_rule(text: str, place: str) -> None:
    reason = why(text) or ""
    assert reason.endswith(place)
    assert "max_tokens" not in reason


def test_what_is_wrong_is_told_without_the_answer_itself() -> None:
    reason = why('{"name": "x", "people": [-4711]}') or ""
    assert "4711" not in reason
    assert "secret" not in (why('{"name": "secret') or "secret")


@pytest.mark.parametrize("text", ["", "Paris", '{"name": "Pa', '{"name": NaN}', "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    assert why(text) is not None


@pytest.mark.parametrize("text", ['{"name": "Pa', '{"people": []}'])
def test_an_answer_that_was_cut_off_is_told_what_to_do(text: str) -> None:
    reason = why(text, cut=True) or ""
    assert reason.startswith("the answer was cut off at max_tokens")
    assert reason.endswith("raise max_tokens")


def test_a_number_that_was_cut_off_may_be_another_number() -> None:
    assert why("12", {"type": "integer"}) is None
    assert "more digits" in (why("12", {"type": "integer"}, cut=True) or "")
    assert why("true", {"type": "boolean"}, cut=True) is None


def test_a_json_object_is_any_object() -> None:
    wanted = Request.build("Hi", response_format={"type": "json_object"}).response_format
    assert mismatch('{"a": [1]}', wanted, is_cut_off=False) is None
    assert "no JSON object" in (mismatch("[1]", wanted, is_cut_off=False) or "")


def test_a_pattern_that_never_comes_to_an_end_is_given_up() -> None:
    reason = why('"' + "a" * 60 + '!"', {"type": "string", "pattern": "^(a|a)*(a|a)*$"})
    assert "too long to check" in (reason or "")


def test_all_matches_of_an_answer_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them takes a fifth of it here."""
    schema = {"items": {"type": "string", "pattern": "b+"}}
    for strings, is_given_up in ((4, False), (6, True)):
        moments = itertools.count(step=structured._PATTERNS_S / 5)
        clock = SimpleNamespace(thread_time=moments.__next__)
        monkeypatch.setattr(structured, "time", clock)
        reason = why(json.dumps(["abbc"] * strings), schema)
        assert ("too long to check" in (reason or "")) == is_given_up


def test_references_that_multiply_are_given_up() -> None:
    definitions: dict[str, Any] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
        for n in range(30)
    }
    definitions["d30"] = {"type": "integer"}
    reason = why("1", {"$ref": "#/$defs/d0", "$defs": definitions})
    assert "too long to check" in (reason or "")


def test_a_pattern_is_still_searched_for() -> None:
    schema = {"type": "string", "pattern": "b+"}
    assert why('"abbc"', schema) is None
    assert why('"ac"', schema) is not None
