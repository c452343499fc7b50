"""Outputs of batches: whatever a machine left of them, every line is there once at the end."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_producer.batch.ended_line import EndedLine, refused
from penstock_producer.batch.layouts import Layout
from penstock_producer.batch.openai_output import OpenAIOutput
from penstock_producer.batch.output_file import OutputFile
from penstock_producer.batch.outputs import Outputs
from penstock_producer.batch.table_columns import table_columns
from penstock_producer.batch.table_output import CsvTable, JsonTable
from penstock_shared.errors import InvalidBatch
from penstock_shared.ledger.batches.entering import Refusal
from penstock_shared.result import Result
from penstock_shared.words import JobState, RequestKind, Source, TaskType

BATCH = "batch_0"
NOW = 1_800_000_000_000
LAYOUTS = {
    "openai": OpenAIOutput(BATCH),
    "jsonl": JsonTable(BATCH, table_columns(["question", "text"])),
    "csv": CsvTable(BATCH, table_columns(["question", "text"])),
    "tsv": CsvTable(BATCH, table_columns(["question", "text"]), "\t"),
}
layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"))


def a_result(text: str | None, status: JobState = JobState.SUCCEEDED, **changes: object) -> Result:
    values = {
        "job_id": "a-job",
        "status": status,
        "text": text,
        "tier": "small",
        "reason": 'a, "reason"\nof two lines',
        "task_type": TaskType.CHAT,
        "tenant": "default",
        "source": Source.EXACT if text else None,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "model": "a-model",
        "latency_ms": 5,
    }
    return Result(**{**values, **changes})  # type: ignore[arg-type]


def an_ended(line: int, text: str = "An answer", *, failed: bool = False) -> EndedLine:
    status = JobState.FAILED if failed else JobState.SUCCEEDED
    return EndedLine(line, f"id-{line}", NOW, a_result(None if failed else text, status))


def outputs_in(folder: Path, layout: Layout, *, with_errors: bool = True) -> Outputs:
    errors = OutputFile(folder / "errors", layout) if with_errors else None
    return Outputs(
        OutputFile(folder / "out", layout),
        errors,
        layout,
        lambda ended: {"question": f'{ended.line}\n"?"', "text": "of the input"},
    )


def numbers_in(path: Path, layout: Layout) -> list[int]:
    if not path.exists():
        return []
    with path.open("rb") as stream:
        found = [piece.written.line for piece in layout.pieces(stream) if piece.written]
        assert not stream.read(1)
    return found


def restore(outputs: Outputs, states: dict[int, JobState] | None = None) -> None:
    outputs.restore(lambda numbers: {n: s for n, s in (states or {}).items() if n in numbers})
    outputs.close()


def complete(folder: Path, layout: Layout, lines: Sequence[EndedLine]) -> None:
    """What a command does that starts again."""
    outputs = outputs_in(folder, layout)
    restore(outputs)
    outputs.write([each for each in lines if each.line not in outputs.known])
    outputs.close()


@layouts
@given(answers=st.lists(texts, min_size=1, max_size=8), data=st.data())
def test_a_file_that_was_cut_at_any_byte_has_every_line_once_after_the_next_start(
    layout: Layout, answers: list[str], data: st.DataObject
) -> None:
    lines = [an_ended(n, text, failed=n % 3 == 2) for n, text in enumerate(answers, start=1)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        complete(folder, layout, lines)
        for file in (folder / "out", folder / "errors"):
            if file.exists():
                content = file.read_bytes()
                cut = data.draw(st.integers(0, len(content)))
                blank = data.draw(st.integers(0, 20))
                file.write_bytes(content[:cut] + bytes(blank))
        complete(folder, layout, lines)
        done = numbers_in(folder / "out", layout) + numbers_in(folder / "errors", layout)
        assert sorted(done) == [each.line for each in lines]
        failed = [each.line for each in lines if each.is_failed]
        assert sorted(numbers_in(folder / "errors", layout)) == failed


@layouts
@given(start=st.integers(0, 2_000), size=st.integers(1, 600))
def test_what_a_power_cut_left_blank_is_written_anew(layout: Layout, start: int, size: int) -> None:
    lines = [an_ended(n, "An answer\nof two lines") for n in range(1, 7)]
    with TemporaryDirectory() as name:
        out = Path(name, "out")
        complete(Path(name), layout, lines[:3])
        sure = out.stat().st_size  # the disk had this before
        complete(Path(name), layout, lines)
        content = bytearray(out.read_bytes())
        begin = min(sure + start, len(content) - 1)
        end = min(begin + size, len(content))
        content[begin:end] = bytes(end - begin)
        out.write_bytes(content)
        complete(Path(name), layout, lines)
        assert sorted(numbers_in(out, layout)) == [1, 2, 3, 4, 5, 6]


@layouts
def test_a_file_of_somebody_else_is_refused_and_stays_as_it_is(
    layout: Layout, tmp_path: Path
) -> None:
    own = layout.render(an_ended(1), {})
    for content in (
        b"my notes\n",
        b"my notes",
        b'{"a": 1}\n',
        b'{"a": 1}',
        b"\x00\x01\x02 binary",
        b"PAR1\x00\x00",
        own.replace(b"batch_0", b"batch_1") if not layout.header else b"a,b\n1,2\n",
    ):
        (tmp_path / "out").write_bytes(content)
        with pytest.raises(InvalidBatch):
            restore(outputs_in(tmp_path, layout))
        assert (tmp_path / "out").read_bytes() == content


def test_rows_of_another_batch_are_refused(tmp_path: Path) -> None:
    columns = table_columns(["question", "text"])
    complete(tmp_path, CsvTable("batch_1", columns), [an_ended(1)])
    with pytest.raises(InvalidBatch, match="belongs to batch batch_1"):
        restore(outputs_in(tmp_path, CsvTable(BATCH, columns)))


@layouts
def test_a_line_that_was_retried_is_taken_out_of_the_errors(layout: Layout, tmp_path: Path) -> None:
    complete(tmp_path, layout, [an_ended(n, failed=n > 1) for n in range(1, 5)])
    outputs = outputs_in(tmp_path, layout)

    states = {2: JobState.QUEUED, 3: JobState.SUCCEEDED, 4: JobState.FAILED}
    restore(outputs, states)

    assert list(outputs.known) == [1, 4]
    assert numbers_in(tmp_path / "errors", layout) == [4]
    assert (outputs.out_lines, outputs.error_lines) == (1, 1)


@layouts
def test_without_a_file_of_errors_all_lines_stand_in_the_output(
    layout: Layout, tmp_path: Path
) -> None:
    outputs = outputs_in(tmp_path, layout, with_errors=False)
    outputs.write([an_ended(1), an_ended(2, failed=True)])
    outputs.close()
    again = outputs_in(tmp_path, layout, with_errors=False)
    restore(again, {2: JobState.QUEUED})
    assert list(again.known) == [1]
    assert numbers_in(tmp_path / "out", layout) == [1]


def test_an_answer_is_a_chat_completion() -> None:
    line = json.loads(LAYOUTS["openai"].render(an_ended(7, "Dams."), None))
    assert line["custom_id"] == "id-7"
    assert line["error"] is None
    body = line["response"]["body"]
    assert line["response"]["status_code"] == 200
    assert body["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Dams.",
        "refusal": None,
    }
    assert body["usage"]["total_tokens"] == 7
    assert line["penstock"]["line"] == 7
    assert line["penstock"]["cached"] is True


def test_a_failed_line_has_a_response_and_one_that_never_ran_has_an_error() -> None:
    failed = json.loads(LAYOUTS["openai"].render(an_ended(1, failed=True), None))
    assert failed["response"]["status_code"] == 400
    assert failed["response"]["body"]["error"]["code"] == "job_failed"
    assert failed["error"] is None
    for status, code in (
        (JobState.CANCELLED, "batch_cancelled"),
        (JobState.EXPIRED, "batch_expired"),
    ):
        ended = EndedLine(1, "id-1", NOW, a_result(None, status, error="too late"))
        line = json.loads(LAYOUTS["openai"].render(ended, None))
        assert line["response"] is None
        assert line["error"] == {"code": code, "message": "too late"}


def test_a_duplicate_leaves_its_custom_id_to_the_first_line_that_had_it() -> None:
    refusal = Refusal(9, "id-1", "duplicate_custom_id", "it was on line 1", "custom_id")
    line = json.loads(LAYOUTS["openai"].render(refused(refusal), None))
    assert line["custom_id"] is None
    assert line["penstock"]["line"] == 9
    assert line["error"]["code"] == "duplicate_custom_id"


def test_an_answer_has_the_body_of_what_its_line_asked_for() -> None:
    def body_of(text: str, kind: RequestKind) -> dict[str, Any]:
        ended = EndedLine(1, "id-1", NOW, a_result(text, kind=kind))
        body: dict[str, Any] = json.loads(LAYOUTS["openai"].render(ended, None))["response"]["body"]
        return body

    body = body_of("[[0.5,1.0],[2.0,3.0]]", RequestKind.EMBEDDING)
    assert [each["embedding"] for each in body["data"]] == [[0.5, 1.0], [2.0, 3.0]]
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    body = body_of("Dams.", RequestKind.COMPLETION)
    assert (body["object"], body["choices"][0]["text"]) == ("text_completion", "Dams.")


def test_a_column_of_the_input_keeps_its_name_and_its_value() -> None:
    layout = LAYOUTS["csv"]
    content = layout.header + layout.render(an_ended(1, "new"), {"question": "?", "text": "old"})
    row = next(csv.DictReader(io.StringIO(content.decode())))
    assert (row["text"], row["penstock_text"]) == ("old", "new")
