"""What a JSON Schema of a caller must be, before any engine sees it. Pure functions."""

import json
from collections.abc import Iterator
from typing import Any, Final

MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_SCHEMA_DEPTH: Final = 64  # objects and arrays in each other; vLLM takes no more
_SHOWN_CHARS: Final = 120
_REFERENCES: Final = ("$ref", "$dynamicRef")


def written(schema: dict[str, Any]) -> str:
    """The schema as JSON, its keys in the caller's order. Raises ValueError when it is none."""
    if _depth_exceeds(schema, MAX_SCHEMA_DEPTH):
        raise ValueError(f"the schema is nested deeper than {MAX_SCHEMA_DEPTH} levels; flatten it")
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("the schema is not valid Unicode (a lone surrogate)") from None
    except (TypeError, ValueError):
        raise ValueError("the schema has a value that is no JSON") from None
    if size > MAX_SCHEMA_BYTES:
        raise ValueError(
            f"the schema has {size:,} bytes and may have {MAX_SCHEMA_BYTES:,}; shorten it"
        )
    return text


def problem_of(text: str) -> str | None:
    """What is wrong with a schema, in one line; None: it can be used.

    Nothing is ever fetched, so a schema must have all that it refers to in itself.
    """
    schema = json.loads(text)
    return _misuse(schema) or _flaw(schema) or _dangling(schema)


def _misuse(schema: Any) -> str | None:
    """Keywords that are JSON Schema, but not here."""
    for part in _objects(schema):
        for keyword in _REFERENCES:
            target = part.get(keyword)
            if isinstance(target, str) and not target.startswith("#"):
                return f"{keyword} {_shown(target)} leads out of the schema; copy it into $defs"
        if part is not schema and isinstance(part.get("$id"), str):
            return "$id below the top of the schema is not supported; refer to parts by #/$defs/..."
        if isinstance(part.get("patternProperties"), dict):
            return "patternProperties is not supported; name the properties, or leave it out"
    return None


def _flaw(schema: Any) -> str | None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"it is no JSON Schema (draft 2020-12), at {error.json_path}: {_rule(error)}"
    except RecursionError:
        return "the schema is nested too deep; flatten it"
    return None


def _rule(error: Any) -> str:
    """What is wrong there, without repeating whole parts of a caller's schema."""
    if isinstance(error.instance, dict | list):
        return _cut(f"{error.validator} is {json.dumps(error.validator_value)}")
    return _cut(" ".join(str(error.message).split()))


def _dangling(schema: Any) -> str | None:
    """A reference to a part that is not there."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    registry = Registry().with_resource("", DRAFT202012.create_resource(schema))
    for part in _objects(schema):
        target = part.get("$ref")
        if isinstance(target, str):
            try:
                registry.resolver("").lookup(target)
            except (Unresolvable, LookupError, TypeError, ValueError):
                return f"$ref {_shown(target)} leads to nothing in the schema"
    return None


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object in it, itself first."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _depth_exceeds(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [part for one in level for part in _children(one)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in inside if isinstance(part, dict | list)]


def _shown(text: str) -> str:
    return repr(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
