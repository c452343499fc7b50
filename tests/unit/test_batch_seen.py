"""A custom_id that was there before is found, however many there are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_producer.batch.reading import Line, Seen, seen, without_duplicates
from tests.batch_inputs import openai_line, opened, write_lines


def test_the_second_line_with_an_id_says_where_the_first_was(tmp_path: Path) -> None:
    ids = ["a", "b", "a", "", "a"]
    file = write_lines(tmp_path / "in.jsonl", [openai_line(name) for name in ids])
    lines = list(opened(file).checked_lines())
    assert [line.error and line.error.code for line in lines] == [
        None, None, "duplicate_custom_id", "invalid_request", "duplicate_custom_id",
    ]  # fmt: skip
    assert all("on line 1 already" in lines[n].error.message for n in (2, 4))  # type: ignore[union-attr]
    assert lines[2].request is None
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.fixture(scope="module")
def small_memory() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen, "_NEWEST", 3)
        patch.setattr(seen, "_INSERTED", 2)
        patch.setattr(seen, "_FILTER_BYTES", 1)
        # A filter that knows nothing: every lookup goes to the ids themselves.
        patch.setattr(Seen, "_may_have", lambda *_: True)
        yield patch


@given(ids=st.lists(st.text(max_size=2) | st.sampled_from("abđ"), max_size=40))
def test_duplicates_are_those_of_a_dictionary(
    small_memory: object, tmp_path_factory: pytest.TempPathFactory, ids: list[str]
) -> None:
    first: dict[str, int] = {}
    with Seen(tmp_path_factory.getbasetemp()) as known:
        for number, name in enumerate(ids, 1):
            assert known.add(name, number) == first.get(name)
            first.setdefault(name, number)


def test_lines_without_an_id_are_no_duplicates(tmp_path: Path) -> None:
    lines = [Line(number, None, None) for number in range(3)]
    assert list(without_duplicates(lines, tmp_path)) == lines
