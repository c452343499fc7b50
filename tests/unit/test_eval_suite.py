"""Suites: what is read, and what is refused with the number of its line."""

import json

import pytest

from penstock_shared.errors import InvalidSuite
from penstock_shared.words import TaskType
from penstock_workers.evals.suite import load_suite


def a_line(**changes):
    line = {
        "id": "q1",
        "task_type": "factual_qa",
        "messages": [{"role": "user", "content": "What is a dam?"}],
        "checker": {"type": "contains", "expected": "wall"},
    }
    return json.dumps(line | changes, ensure_ascii=False)


def write(tmp_path, *lines):
    path = tmp_path / "suite.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_cases_keep_their_order_and_have_their_task_types(tmp_path):
    path = write(tmp_path, a_line(), "", a_line(id="q2", task_type="code", checker=None))
    suite = load_suite(path)
    assert [case.id for case in suite.cases] == ["q1", "q2"]
    assert suite.task_types == (TaskType.FACTUAL_QA, TaskType.CODE)
    assert [case.id for case in suite.of(TaskType.CODE)] == ["q2"]


def test_another_question_makes_another_digest(tmp_path):
    first = load_suite(write(tmp_path, a_line()))
    again = load_suite(write(tmp_path, a_line()))
    other = load_suite(write(tmp_path, a_line(max_tokens=7)))
    assert first.digest == again.digest != other.digest


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("{", "line 2: no JSON"),
        (a_line(), "line 2: the id 'q1' occurs twice"),
        (a_line(id="q2", task_type="maths"), "line 2: task_type"),
        (a_line(id="q2", checker={"type": "exactly"}), "line 2: checker"),
        (a_line(id="q2", checker={"type": "regex", "pattern": "("}), "not a regular expression"),
        (a_line(id="q2", messages=[]), "line 2: messages"),
        (a_line(id="q2", messages=[{"role": "user", "content": " "}]), "the prompt is empty"),
        (a_line(id="q2", extra=1), "line 2: extra"),
    ],
)
def test_a_wrong_line_is_refused_by_its_number(tmp_path, second, message):
    with pytest.raises(InvalidSuite, match=message):
        load_suite(write(tmp_path, a_line(), second))


def test_a_missing_or_empty_file_is_refused(tmp_path):
    with pytest.raises(InvalidSuite, match="built in"):
        load_suite(str(tmp_path / "none.jsonl"))
    with pytest.raises(InvalidSuite, match="no cases"):
        load_suite(write(tmp_path, ""))


def test_the_built_in_suite_asks_for_every_task_type():
    assert load_suite("penstock-toys").task_types == tuple(TaskType)
