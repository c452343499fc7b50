"""A suite: prompts with a task type, and how their answers are checked."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from penstock_shared.errors import InvalidRequest, InvalidSuite
from penstock_shared.request import Request
from penstock_shared.words import TaskType

BUILT_IN: Final = "penstock-toys"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Exact(_Strict):
    """The answer is this text, but for blanks around it."""

    type: Literal["exact"]
    expected: str


class Contains(_Strict):
    """This text is in the answer, letter case aside."""

    type: Literal["contains"]
    expected: str = Field(min_length=1)


class Numeric(_Strict):
    """The last number of the answer is this one, within an absolute tolerance."""

    type: Literal["numeric"]
    expected: float
    tolerance: float = Field(0.0, ge=0)


class Regex(_Strict):
    """The pattern is found in the answer."""

    type: Literal["regex"]
    pattern: str

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


class PythonTests(_Strict):
    """The answer's code passes these tests; both run in a sandbox."""

    type: Literal["python"]
    tests: str = Field(min_length=1)


class Judge(_Strict):
    """The judge's model says that the answer meets these criteria."""

    type: Literal["judge"]
    criteria: str = Field(min_length=1)


Checker = Annotated[
    Exact | Contains | Numeric | Regex | PythonTests | Judge, Field(discriminator="type")
]


class Case(_Strict):
    """One line of a suite. Without a checker it is timed and not scored."""

    id: str = Field(min_length=1)
    task_type: TaskType
    messages: tuple[dict[str, str], ...] = Field(min_length=1)
    max_tokens: int = Field(256, ge=1)
    checker: Checker | None = None

    def request(self) -> Request:
        """The request that asks it, greedily."""
        return Request.build(self.messages, max_tokens=self.max_tokens)


class Suite(_Strict):
    """The cases in their order, and a digest of all of them."""

    name: str
    cases: tuple[Case, ...]
    digest: str

    def of(self, task_type: TaskType) -> tuple[Case, ...]:
        """The cases of one task type."""
        return tuple(case for case in self.cases if case.task_type is task_type)

    @property
    def task_types(self) -> tuple[TaskType, ...]:
        """The task types that occur, in the order of the words."""
        present = {case.task_type for case in self.cases}
        return tuple(task_type for task_type in TaskType if task_type in present)


def load_suite(source: str) -> Suite:
    """Read a JSONL file, or make the built-in suite of the toys.

    Raises InvalidSuite with the number of the first wrong line.
    """
    if source == BUILT_IN:
        from penstock_workers.toys.suite import cases

        return _suite(BUILT_IN, enumerate(cases(), start=1))
    return _suite(Path(source).name, _lines(Path(source)))


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSuite(
            f"the suite {path} cannot be read: {error}; {BUILT_IN!r} is the one that is built in"
        ) from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise InvalidSuite(f"{path}, line {number}: no JSON: {error}") from None


def _suite(name: str, lines: Iterable[tuple[int, Any]]) -> Suite:
    cases: dict[str, Case] = {}
    digest = hashlib.sha256()
    for number, line in lines:
        try:
            case = Case.model_validate(line)
            case.request()
        except (ValidationError, InvalidRequest) as error:
            raise InvalidSuite(f"{name}, line {number}: {_first(error)}") from None
        if case.id in cases:
            raise InvalidSuite(f"{name}, line {number}: the id {case.id!r} occurs twice")
        cases[case.id] = case
        digest.update(case.model_dump_json().encode())
    if not cases:
        raise InvalidSuite(f"the suite {name} has no cases")
    return Suite(name=name, cases=tuple(cases.values()), digest=digest.hexdigest()[:16])


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
