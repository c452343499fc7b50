"""Is an answer right? One pure function for each checker, but for code (sandbox) and the judge."""

import math
import re
from typing import Final, NamedTuple

from penstock_workers.evals.sandbox import run_tests
from penstock_workers.evals.suite import (
    Checker,
    Contains,
    Exact,
    Judge,
    Numeric,
    PythonTests,
    Regex,
)

_NUMBER: Final = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_FENCE: Final = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_VERDICT: Final = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


class Verdict(NamedTuple):
    """Right or wrong, and when wrong, why in a few words."""

    right: bool
    why: str = ""


def check(checker: Checker, answer: str) -> Verdict:
    """Check one answer. A judge's criteria are checked by ``check_judgement`` instead."""
    match checker:
        case Exact(expected=expected):
            return _verdict(answer.strip() == expected.strip(), "another text")
        case Contains(expected=expected):
            found = expected.casefold() in answer.casefold()
            return _verdict(found, f"{expected!r} is not in it")
        case Numeric(expected=expected, tolerance=tolerance):
            return _check_number(answer, expected, tolerance)
        case Regex(pattern=pattern):
            return _verdict(re.search(pattern, answer) is not None, "the pattern is not in it")
        case PythonTests(tests=tests):
            ran = run_tests(code_of(answer), tests)
            return Verdict(ran.passed, ran.why)
        case Judge():
            raise ValueError("a judge's criteria need the judge's answer")


def judge_prompt(question: str, answer: str, criteria: str) -> str:
    """What the judge is asked; it is to say yes or no."""
    return (
        "You grade an answer. Does it meet the criteria? Reply with Yes or No first.\n\n"
        f"Question:\n{question}\n\nAnswer:\n{answer}\n\nCriteria:\n{criteria}"
    )


def check_judgement(judgement: str) -> Verdict:
    """Read the judge's first yes or no; without one the answer counts as wrong."""
    said = _VERDICT.search(judgement)
    if said is None:
        return Verdict(right=False, why="the judge said neither yes nor no")
    return _verdict(said[1].lower() == "yes", "the judge said no")


def code_of(answer: str) -> str:
    """The code of an answer: its fenced blocks, or all of it when there are none."""
    blocks = _FENCE.findall(answer)
    return "\n\n".join(blocks) if blocks else answer


def last_number(text: str) -> float | None:
    """The last number in a text; ``1,234.5`` is one number."""
    numbers = _NUMBER.findall(text)
    return float(numbers[-1].replace(",", "")) if numbers else None


def _check_number(answer: str, expected: float, tolerance: float) -> Verdict:
    found = last_number(answer)
    if found is None:
        return Verdict(right=False, why="no number in it")
    right = math.isclose(found, expected, rel_tol=1e-9, abs_tol=tolerance)
    return _verdict(right, f"{found:g}, not {expected:g}")


def _verdict(right: bool, why: str) -> Verdict:
    return Verdict(right, "" if right else why)
