"""What one pass over a file finds: every wrong line by its number, with its code."""

import unicodedata
from pathlib import Path

import pytest

from penstock_producer.batch.preparing import Preparation, prepare
from penstock_producer.batch.reading.numbered import MAX_LINE_BYTES
from tests.batch_inputs import SETTINGS, openai_line, opened, write_lines

FIRST = openai_line("first")


def found(path: Path) -> Preparation:
    return prepare(opened(path), SETTINGS)


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        ("{not json", "invalid_json_line", None),
        (FIRST, "duplicate_custom_id", "custom_id"),
        (openai_line("b", url="/v1/completions", prompt="x"), "url_mismatch", "url"),
        (openai_line("b", model="gpt-5"), "model_not_found", "model"),
        (openai_line("b").replace("POST", "GET"), "invalid_request", "method"),
        (openai_line("b", n=2), "invalid_request", "n"),
        (openai_line("b", stream=True), "invalid_request", "stream"),
        (openai_line("b", penstock={"tenant": "acme"}), "invalid_request", "penstock.tenant"),
        (openai_line("b", stop="%s").replace("%s", r"\ud800"), "invalid_request", "stop"),
        (openai_line("b", user="%s").replace("%s", r"\udfff"), "invalid_request", "metadata"),
        (openai_line("b", user="%s").replace("%s", r"\u0000"), "invalid_request", "metadata"),
        ("x" * (MAX_LINE_BYTES + 1), "invalid_request", None),
    ],
)
def test_a_wrong_line_is_reported_with_its_number_and_code(
    tmp_path: Path, line: str, code: str, param: str | None
) -> None:
    lines = [FIRST, "", openai_line("last")]
    preparation = found(write_lines(tmp_path / "in.jsonl", [*lines[:2], line, *lines[2:]]))
    (error,) = preparation.errors
    assert (error.line, error.code, error.param) == (3, code, param)
    assert (preparation.total, preparation.valid) == (3, 2)
    shown = ("b", "first") if line.endswith("}") else (None,)
    assert error.custom_id in shown


@pytest.mark.parametrize("broken_off", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_bom_line_breaks_and_a_last_line_without_one_do_not_matter(
    tmp_path: Path, broken_off: str, bom: str
) -> None:
    text = bom + broken_off.join(openai_line(f"dòng-{n}") for n in range(3))
    path = tmp_path / "in.jsonl"
    path.write_bytes(text.encode())
    assert (found(path).total, found(path).valid) == (3, 3)


def test_names_that_only_look_the_same_are_two(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "câu hỏi") for form in ("NFC", "NFD")]
    path = write_lines(tmp_path / "in.jsonl", map(openai_line, names))
    assert [line.custom_id for line in opened(path).checked_lines()] == names
    assert found(path).error_count == 0
