"""Parts of a batch's command that need no ledger."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_producer.batch.input_rows import InputRows
from penstock_producer.batch.line_set import LineSet
from penstock_producer.batch.locking import OutputLock
from penstock_producer.batch.outages import patiently
from penstock_producer.batch.request_file import Item, RequestFile, spooled
from penstock_producer.batch.shape import errors_beside
from penstock_producer.batch.table_columns import table_columns
from penstock_shared.errors import BatchBusy, InvalidBatch, LedgerUnavailable
from penstock_shared.request import Request
from penstock_shared.settings import load_settings


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300))))
def test_a_set_of_lines_is_a_set(changes: list[tuple[bool, int]]) -> None:
    ours, real = LineSet(), set[int]()
    for is_added, number in changes:
        if is_added:
            assert ours.add(number) is (number not in real)
            real.add(number)
        else:
            assert ours.discard(number) is (number in real)
            real.discard(number)
    assert list(ours) == sorted(real)
    assert len(ours) == len(real)
    assert all((number in ours) is (number in real) for number in range(310))


def test_an_output_has_one_writer_and_no_lock_when_nobody_writes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with OutputLock(out), pytest.raises(BatchBusy, match="another command"):
        OutputLock(out).acquire()
    assert list(tmp_path.iterdir()) == []
    with OutputLock(out):
        pass
    with pytest.raises(InvalidBatch, match="cannot be written"):
        OutputLock(tmp_path / "nowhere" / "out").acquire()


def test_rows_are_found_by_their_numbers_while_they_are_copied(tmp_path: Path) -> None:
    begin = threading.Event()

    def rows() -> object:
        yield 1, {"a": "ä\n"}
        begin.wait(30)
        yield 4, {"a": 4}

    kept = InputRows(rows(), tmp_path)  # type: ignore[arg-type]
    filling = threading.Thread(target=kept.fill)
    filling.start()
    assert kept.get(1) == {"a": "ä\n"}
    begin.set()
    assert (kept.get(4), kept.get(2), kept.get(9)) == ({"a": 4}, {}, {})
    filling.join()
    assert list(tmp_path.iterdir()) == []
    kept.close()


def test_an_input_that_cannot_be_read_again_is_heard_of(tmp_path: Path) -> None:
    def rows() -> object:
        raise OSError("gone")
        yield

    kept = InputRows(rows(), tmp_path)  # type: ignore[arg-type]
    kept.fill()
    with pytest.raises(OSError, match="gone"):
        kept.get(1)
    kept.close()


def test_requests_of_a_program_come_back_from_their_file(tmp_path: Path) -> None:
    items = [Item(None, Request.build("What?", seed=1)), Item("mine", Request.build("How?"))]
    path = spooled(items, lambda _, item: item, tmp_path / "requests")
    file = RequestFile(path, "a program", load_settings(tmp_path))
    lines = list(file.checked_lines())
    assert [line.custom_id for line in lines] == ["1", "mine"]
    assert [line.request for line in lines] == [item.request for item in items]
    assert [line.number for line in file.lines(2)] == [2]
    assert file.position() == 1
    assert file.endpoint == "/v1/chat/completions"
    path.write_text('{"custom_id": "x"}\nno JSON\n')
    assert [line.error is None for line in file.lines()] == [False, False]


def test_an_outage_is_waited_for_until_somebody_stops(caplog: pytest.LogCaptureFixture) -> None:
    outcomes = iter([LedgerUnavailable("it is away"), "there"])

    def work() -> object:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert patiently(work, threading.Event()) == "there"
    assert "it is away; the batch waits for it" in caplog.text
    stop = threading.Event()
    stop.set()
    outcomes = iter([LedgerUnavailable("it is away")])
    with pytest.raises(LedgerUnavailable):
        patiently(work, stop)


def test_errors_stand_beside_the_output() -> None:
    names = ("out.jsonl", "out", "out.v1.jsonl", "out.txt")
    assert [errors_beside(Path(name)).name for name in names] == [
        "out.errors.jsonl",
        "out.errors.jsonl",
        "out.v1.errors.jsonl",
        "out.txt.errors.jsonl",
    ]


def test_a_name_that_the_input_has_gets_a_prefix_as_often_as_it_needs() -> None:
    columns = table_columns(["text", "penstock_text", "custom_id"])
    assert columns.added["text"] == "penstock_penstock_text"
    assert columns.added["custom_id"] == "penstock_custom_id"
    assert columns.added["tier"] == "tier"
    assert len(set(columns.names)) == len(columns.names)
