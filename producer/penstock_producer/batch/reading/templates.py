"""Prompts from columns: Jinja2 in its sandbox, where a column that is missing is an error."""

import re
from collections.abc import Mapping
from typing import Any, Final, Self

from jinja2 import Template, TemplateSyntaxError, UndefinedError

from penstock_producer.batch.reading.line import invalid
from penstock_shared.errors import InvalidRequest
from penstock_shared.templates import ENVIRONMENT, TEMPLATE_ERRORS

_UNDEFINED: Final = re.compile(r"^'([^']+)' is undefined$")
_SHOWN_COLUMNS: Final = 30


def _or_nothing(value: object) -> object:
    return "" if value is None else value


_ENVIRONMENT: Final = ENVIRONMENT.overlay(finalize=_or_nothing)


class PromptTemplate:
    """A template, compiled once. ``what`` is its name in messages."""

    def __init__(self, text: str, what: str) -> None:
        self._what = what
        try:
            self._template: Template = _ENVIRONMENT.from_string(text)
        except TemplateSyntaxError as error:
            raise InvalidRequest(f"{what}, line {error.lineno}: {error.message}") from None

    @classmethod
    def maybe(cls, text: str | None, what: str) -> Self | None:
        """None for no template."""
        return None if text is None else cls(text, what)

    def render(self, columns: Mapping[str, Any]) -> str:
        """Fill in the columns; null is nothing. ``row`` is all of them, for names with blanks.

        Raises BadLine, whose param is the column that is missing.
        """
        try:
            return self._template.render({"row": columns, **columns})
        except UndefinedError as error:
            raise self._missing(str(error), columns) from None
        except TEMPLATE_ERRORS as error:
            raise invalid(f"{self._what}: {_first_line(error)}") from None

    def _missing(self, message: str, columns: Mapping[str, Any]) -> Exception:
        found = _UNDEFINED.match(message)
        if found is None:
            return invalid(f"{self._what}: {message}")
        return invalid(
            f"{self._what} needs the column {found[1]!r}, which this row does not have; "
            f"it has {list_columns(columns)}",
            found[1],
        )


def list_columns(columns: Mapping[str, Any] | list[str]) -> str:
    """The names of columns for a message."""
    names = [repr(str(name)[:100]) for name in list(columns)[:_SHOWN_COLUMNS]]
    more = len(columns) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "") if names else "no columns"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"
