"""The figures of docs/plan.md are those that the code computes."""

import re
from pathlib import Path

import pytest

from penstock_producer.plan.kv.families import known_families
from penstock_producer.plan.kv.planning import Question, plan_kv
from penstock_producer.plan.kv.sources import known_models

PAGE = (Path(__file__).parents[2] / "docs" / "plan.md").read_text(encoding="utf-8")
TABLE = re.findall(r"(?m)^\| (\S+/\S+) \|(.*)\|$", PAGE.split("### Known models")[1])


@pytest.mark.parametrize(("model", "cells"), TABLE)
def test_a_row_of_the_known_models_is_what_is_computed(model: str, cells: str) -> None:
    plan = plan_kv(model, Question([8_192, 32_768]))
    sizes = [f"{row.kv_bytes_per_request / 1e9:,.2f}" for row in plan.rows]
    weights = [f"{plan.weights_bytes[name] / 1e9:,.1f}" for name in ("bf16", "int8", "int4")]
    expected = [f"{plan.kv_bytes_per_token:,}", *sizes, *weights]
    assert [cell.strip() for cell in cells.split("|")] == expected


def test_the_table_is_long_and_the_page_knows_how_many_models_are_shipped() -> None:
    assert len(TABLE) >= 12
    assert f"all {len(known_models())} models" in PAGE


def test_every_family_stands_on_the_page() -> None:
    assert [
        name for name in known_families() if f"`{name.removesuffix('_text')}`" not in PAGE
    ] == []
