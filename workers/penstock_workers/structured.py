"""Does an answer have the form that its request asked for? Pure functions.

The engine's grammar makes most answers fit, and this proves it: an answer can be cut off, and a
grammar may leave out what its backend does not know. Callers write the schemas, so that the time
which one can take is bounded.
"""

import json
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry

from penstock_shared.response_format import JsonSchemaFormat, ResponseFormat, TextFormat

_MOST_REFERENCES: Final = 100_000  # followed for one answer
_PATTERNS_S: Final = 2.0  # of this thread's processor time, for all matches in one answer
_SHOWN_CHARS: Final = 80

_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


class _TooCostlyError(Exception):
    pass


def mismatch(text: str, wanted: ResponseFormat | None, *, is_cut_off: bool) -> str | None:
    """Why an answer is not what was asked for, in one line without its text; None: it is.

    ``is_cut_off`` says that it ended at max_tokens.
    """
    if wanted is None or isinstance(wanted, TextFormat):
        return None
    try:
        problem = _problem(text, wanted, is_cut_off=is_cut_off)
    except RecursionError:
        problem = "it is nested too deep to be checked"
    except (_TooCostlyError, TimeoutError, regex.error):
        problem = "its schema takes too long to check; simplify its patterns and references"
    if problem is None:
        return None
    if is_cut_off:
        return f"the answer was cut off at max_tokens: {problem}; raise max_tokens"
    return f"the answer is not what response_format asks for: {problem}"


def _problem(text: str, wanted: ResponseFormat, *, is_cut_off: bool) -> str | None:
    try:
        answer = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return f"it is no JSON from character {error.pos + 1} on"
    except ValueError:
        return "it has a number that is no JSON"
    if is_cut_off and isinstance(answer, int | float) and not isinstance(answer, bool):
        return "it is a number that may have more digits"
    if isinstance(wanted, JsonSchemaFormat):
        return _violation(answer, wanted.definition)
    return None if isinstance(answer, dict) else "at $: it is no JSON object"


def _violation(answer: Any, schema: dict[str, Any]) -> str | None:
    keywords: dict[str, _Keyword] = {"pattern": _patterns(time.thread_time() + _PATTERNS_S)}
    keywords |= {name: _bounded(name, count(1)) for name in ("$ref", "$dynamicRef")}
    # A registry of its own, so that nothing is ever fetched.
    validator = extend(Draft202012Validator, keywords)(schema, registry=Registry())
    error = best_match(validator.iter_errors(answer))
    if error is None:
        return None
    rule = json.dumps(error.validator_value, ensure_ascii=False)
    if len(rule) > _SHOWN_CHARS:
        rule = f"{rule[:_SHOWN_CHARS]}..."
    return f"at {error.json_path}: {error.validator} is {rule}"


def _patterns(end_s: float) -> _Keyword:
    """Match patterns, all of an answer until a moment of this thread's clock."""

    def check(_: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
        if not isinstance(value, str):
            return
        left_s = end_s - time.thread_time()
        if left_s <= 0:
            raise _TooCostlyError
        if not regex.search(pattern, value, timeout=left_s):
            yield ValidationError("another pattern")

    return check


def _bounded(keyword: str, number: Iterator[int]) -> _Keyword:
    """Follow references, but not as many as parts that refer to each other twice would make."""
    follow = Draft202012Validator.VALIDATORS[keyword]

    def check(validator: Any, target: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        if next(number) > _MOST_REFERENCES:
            raise _TooCostlyError
        yield from follow(validator, target, value, schema)

    return check


def _refuse(constant: str) -> None:
    raise ValueError(constant)
