"""Prompt templates of callers: Jinja2 in its sandbox, where what is missing is an error."""

from typing import Final

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

ENVIRONMENT: Final = SandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
)
# What an expression of a template may raise over values that it did not expect.
TEMPLATE_ERRORS: Final = (
    TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError,
    RecursionError,
)  # fmt: skip
