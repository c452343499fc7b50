"""What the documents say is what the code does."""

import re
from pathlib import Path

import pytest

from penstock_shared import errors
from penstock_shared.request import Request
from penstock_shared.routing import route
from penstock_shared.settings import Settings, TierSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
SECTIONS = ("worker", "cache", "flower", "routing", "report")


def _rows(page: str, heading: str) -> list[list[str]]:
    text = (ROOT / page).read_text(encoding="utf-8")
    part = re.split(rf"(?m)^#+ {re.escape(heading)}$", text)[1]
    table = re.search(r"(?m)(?:^\|.*\n)+", part)
    assert table is not None
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def _route(prompt: str, **options: object) -> tuple[str, str]:
    try:
        chosen = route(Request.build(prompt, **options), Settings())
    except errors.InvalidRequest as error:
        return "refused", error.message
    return chosen.tier, chosen.reason


@pytest.mark.parametrize("row", _rows("docs/routing.md", "Examples"), ids=lambda row: row[0])
def test_the_router_answers_as_the_examples_say(row: list[str]) -> None:
    call, tier, reason = row
    assert eval(call.strip("`"), {"submit": _route}) == (tier, reason)


def test_the_table_of_exit_statuses_is_the_tree_of_errors() -> None:
    written = {
        (row[1].strip("`"), int(row[0]))
        for row in _rows("docs/operations.md", "Exit statuses")
        if row[1]
    }
    classes = {
        c
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, errors.PenstockError)
    }
    assert written == {(c.code, c.exit_status) for c in classes}


def test_the_settings_table_of_the_readme_has_every_setting_and_its_default() -> None:
    written = dict(row[:2] for row in _rows("README.md", "Settings"))
    expected = {
        f"`{name}.{key}`": _cell(getattr(getattr(Settings(), name), key))
        for name in SECTIONS
        for key in type(getattr(Settings(), name)).model_fields
    }
    for explained in ("`routing.rules`", "`flower.password`"):
        assert written[explained]
        del expected[explained]
    assert {key: written.get(key) for key in expected} == expected


def test_the_tier_table_of_the_readme_has_every_setting_and_its_default() -> None:
    written = dict(row[:2] for row in _rows("README.md", "A tier"))
    expected = {
        f"`{key}`": "required" if field.is_required() else _cell(field.default)
        for key, field in TierSettings.model_fields.items()
    }
    expected["`task_types`"] = "all"
    assert written == expected


def _cell(value: object) -> str:
    if value is None or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_into_the_repository_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []
