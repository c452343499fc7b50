"""A response format is checked before anything runs, and refused in one line that helps."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_shared.errors import InvalidRequest
from penstock_shared.request import Request
from penstock_shared.response_format import JsonSchemaFormat

SCHEMA = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}}


def a_format(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}


def refusal_of(wanted: Any) -> str:
    with pytest.raises(InvalidRequest) as refusal:
        Request.build("Hi", response_format=wanted)
    message = refusal.value.message
    assert message.startswith("response_format")
    assert "\n" not in message
    assert len(message) < 400
    return message


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def test_a_schema_is_kept_as_it_was_written() -> None:
    request = Request.build("Hi", response_format=a_format(SCHEMA, strict=True, description="d"))
    stored = request.model_dump_json(exclude_defaults=True)
    assert json.loads(stored)["response_format"]["json_schema"]["schema"] == SCHEMA
    again = Request.model_validate_json(stored)
    assert again == request
    assert isinstance(again.response_format, JsonSchemaFormat)
    assert list(again.response_format.definition["properties"]) == ["b", "a"]


def test_a_schema_that_its_caller_changes_later_stays_as_it_was_checked() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    request = Request.build("Hi", response_format=a_format(schema))
    schema["properties"]["a"] = {"type": "nonsense"}
    assert isinstance(request.response_format, JsonSchemaFormat)
    assert request.response_format.definition["properties"] == {}


def test_text_is_what_there_is_without_a_format() -> None:
    assert Request.build("Hi", response_format={"type": "text"}) == Request.build("Hi")


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "objekt"}, "no JSON Schema (draft 2020-12), at $.type"),
        ({"properties": {"a": {"minimum": "x"}}}, "at $.properties.a.minimum"),
        ({"items": [{}]}, 'at $.items: type is ["object", "boolean"]'),
        ({"pattern": "("}, "at $.pattern"),
        ({"$ref": "https://example.com/a.json"}, "leads out of the schema"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, "leads out of the schema"),
        ({"$ref": "#/$defs/nobody"}, "leads to nothing"),
        ({"$defs": {"a": {"$id": "https://example.com/a"}}}, "$id below the top"),
        ({"patternProperties": {"a": {}}}, "patternProperties is not supported"),
        ({"enum": [float("nan")]}, "no JSON"),
        ({"enum": [object()]}, "no JSON"),
        ({"const": "\ud800"}, "lone surrogate"),
        ({"description": "x" * 70_000}, "70,019 bytes and may have 65,536"),
        (nested(100), "deeper than 64 levels"),
        (nested(100_000), "deeper than 64 levels"),
        ([], "schema"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: Any, reason: str) -> None:
    assert reason in refusal_of(a_format(schema))


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("json", "response_format"),
        ({"type": "xml"}, "'json_schema'"),
        ({"type": "json_schema"}, "response_format.json_schema: Field required"),
        ({"type": "json_object", "x": 1}, "response_format.json_object.x"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "schema: Field required"),
        (a_format(SCHEMA, strict="maybe"), "strict"),
        ({"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}, "name"),
    ],
)
def test_a_format_that_is_none_is_refused_by_its_name(wanted: Any, reason: str) -> None:
    assert reason in refusal_of(wanted)


def test_a_refusal_repeats_no_part_of_the_schema() -> None:
    assert "secret" not in refusal_of(a_format({"items": [{"description": "secret"}]}))
    assert "secret" not in refusal_of(a_format({"required": [{"description": "secret"}]}))


def test_properties_may_be_named_like_references() -> None:
    schema = {"properties": {name: {} for name in ("$ref", "$id")}}
    Request.build("Hi", response_format=a_format({"$defs": {"a": {}}, "allOf": [schema]}))


def test_a_schema_may_refer_to_its_own_parts() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "v": {"$ref": "#/$defs/v"}}}
    Request.build("Hi", response_format=a_format({**tree, "$defs": {"v": {"type": "integer"}}}))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$ref"), inner),
    max_leaves=5,
)


@settings(max_examples=40)
@given(
    st.dictionaries(st.text() | st.sampled_from(["type", "$ref", "items", "pattern"]), json_values)
)
def test_whatever_stands_in_a_schema_it_is_taken_or_refused_in_one_line(schema: Any) -> None:
    refusals: list[str] = []
    try:
        Request.build("Hi", response_format=a_format(schema))
    except InvalidRequest as refusal:
        refusals.append(refusal.message)
    assert "\n" not in "".join(refusals)
