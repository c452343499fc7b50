"""The examples of docs/batches.md are Python, and its lines are requests."""

import ast
import json
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "batches.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)
JSON = re.findall(r"(?ms)^```json\n(.*?)^```$", PAGE)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[0])
def test_an_example_is_python(example: str) -> None:
    ast.parse(example)


def test_every_way_into_a_pipeline_has_its_example() -> None:
    words = "\n".join(EXAMPLES)
    assert [each for each in ("celery", "airflow", "dagster") if f"from {each}" not in words] == []


def test_lines_are_json() -> None:
    lines = [json.loads(line) for block in JSON for line in block.splitlines()]
    assert len(lines) >= 3
    assert all("custom_id" in line for line in lines)
