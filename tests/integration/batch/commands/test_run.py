"""``penstock batch run``: files in, files out."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from penstock_shared.ledger.batches import records
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Settlement
from tests.batch_worker import BatchWorker, answer_or_fail
from tests.integration.batch.commands.files import (
    Penstock,
    names,
    questions,
    read,
    request,
    write,
)

BOUND_S = 60.0


def test_every_line_is_in_exactly_one_of_the_two_files(
    penstock: Penstock, worker: BatchWorker, tmp_path: Path
) -> None:
    vietnamese = request("vi", "Thủ đô của Việt Nam là gì?")
    questions(tmp_path / "in.jsonl", 30, vietnamese, request("bad", "please fail"))
    done = penstock("run", "in.jsonl", "-o", "out.jsonl")
    assert done.status == 0, done.err
    assert len(names("out.jsonl")) == 31
    assert names("out.errors.jsonl") == ["bad"]
    [answer] = [line for line in read("out.jsonl") if line["custom_id"] == "vi"]
    text = answer["response"]["body"]["choices"][0]["message"]["content"]
    assert text == "THỦ ĐÔ CỦA VIỆT NAM LÀ GÌ?"
    assert "31 of 32 lines have an answer · 1 failed, see out.errors.jsonl" in done.err
    assert "assumed: no figures; no worker runs" in done.err


def test_the_same_command_again_writes_nothing_twice(
    penstock: Penstock, worker: BatchWorker, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 10)
    first = penstock("run", "in.jsonl", "-o", "out.jsonl", "--json")
    content = (tmp_path / "out.jsonl").read_bytes()
    again = penstock("run", "in.jsonl", "-o", "out.jsonl", "--json")
    assert first.facts["batch_id"] == again.facts["batch_id"]
    assert (tmp_path / "out.jsonl").read_bytes() == content
    assert worker.settled == 10
    assert again.facts["counts"]["succeeded"] == again.facts["out_lines"] == 10
    assert again.facts["cost_usd"] == "0.00000001"


def test_standard_input_and_output_take_the_place_of_files(
    penstock: Penstock, worker: BatchWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = questions(tmp_path / "in.jsonl", 5, request("bad", "fail"))
    with path.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        done = penstock("run", "-", "-o", "-")
    assert done.status == 0, done.err
    assert sorted(json.loads(line)["custom_id"] for line in done.out.splitlines()) == [
        "bad", "q-0", "q-1", "q-2", "q-3", "q-4",
    ]  # fmt: skip
    assert "5 of 6 lines have an answer" in done.err


def test_a_table_gets_columns_with_the_answer(
    penstock: Penstock, worker: BatchWorker, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("id,city\na,Huế\nb,fail\n", encoding="utf-8")
    (tmp_path / "prompt.txt").write_text("Where is {{ city }}?", encoding="utf-8")
    done = penstock(
        "run", "in.csv", "-o", "out.csv", "--template", "@prompt.txt", "--id-column", "id"
    )
    assert done.status == 0, done.err
    rows = (tmp_path / "out.csv").read_text("utf-8")
    assert "a,Huế,WHERE IS HUẾ?" in rows
    assert "it says so" in rows
    assert "see out.csv" in done.err


def test_results_of_a_table_have_its_columns_as_long_as_it_is_there(
    penstock: Penstock, worker: BatchWorker, tmp_path: Path
) -> None:
    table = tmp_path / "in.csv"
    table.write_text("text,city\nwhere,Huế\n", encoding="utf-8")
    assert penstock("run", "in.csv", "-o", "out.csv").status == 0
    batch_id = penstock("list", "--json").facts["batch_id"]
    assert "where,Huế,WHERE" in penstock("results", batch_id, "-o", "-").out
    table.write_text("text,city\nwhere,Hanoi\n", encoding="utf-8")
    done = penstock("results", batch_id, "-o", "-")
    assert "Hanoi" not in done.out
    assert "WHERE" in done.out
    assert "changed" in done.err


def test_a_dry_run_says_what_it_would_cost_and_accepts_nothing(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 10)
    shown = penstock("run", "in.jsonl", "-o", "out.jsonl", "--dry-run", "--tier", "small")
    assert "estimate of 10 lines" in shown.out
    facts = penstock("submit", "in.jsonl", "--dry-run", "--max-tokens", "8", "--json").facts
    [(tier, load)] = facts["tiers"].items()
    assert (tier, load["lines"], load["max_answer_tokens"]) == ("small", 10, 80)
    assert load["measured_on"] == 0
    assert float(facts["cost_usd"]["low"]) < float(facts["cost_usd"]["high"])
    assert records.newest(ledger) == []
    assert not (tmp_path / "out.jsonl").exists()


def test_vectors_are_free(penstock: Penstock, tmp_path: Path) -> None:
    line = {"custom_id": "v", "method": "POST", "url": "/v1/embeddings", "body": {"input": "Huế"}}
    write(tmp_path / "in.jsonl", json.dumps(line))
    done = penstock("run", "in.jsonl", "-o", "out.jsonl", "--dry-run")
    assert "free of charge" in done.out
    facts = penstock("run", "in.jsonl", "-o", "out.jsonl", "--dry-run", "--json").facts
    assert facts["cost_usd"]["high"] == "0"


def test_a_folder_is_cut_and_each_document_summed_up(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("One. " * 40 + "Hai. " * 40, encoding="utf-8")
    done = penstock(
        "submit", "docs", "--chunk", "100", "--tier", "small", "--map", "List: {{ text }}",
        "--reduce", "Sum up {{ document }}: {{ parts | join(' ') }}", "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    counts = penstock("show", done.facts["batch_id"], "--json").facts["counts"]
    assert (counts["queued"], counts["waiting"]) == (done.facts["total"] - 1, 1)


def test_files_that_are_passed_over_are_named(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("One.", encoding="utf-8")
    for number in range(7):
        (tmp_path / "docs" / f"{number}.png").write_bytes(b"")
    run = ("run", "docs", "-o", "out.jsonl", "--template", "{{ text }}", "--dry-run")
    shown = penstock(*run).err
    assert "files that are passed over: 7" in shown
    assert "  4.png: no document" in shown
    assert "and 2 more" in shown
    facts = penstock(*run, "--json").facts
    assert (facts["skipped_count"], len(facts["skipped"])) == (7, 7)


def test_facts_stay_out_of_answers_on_standard_output(
    penstock: Penstock, worker: BatchWorker, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 3)
    done = penstock("run", "in.jsonl", "-o", "/dev/stdout", "--json")
    assert done.status == 0, done.err
    assert {json.loads(line)["custom_id"] for line in done.out.splitlines()} == {
        "q-0",
        "q-1",
        "q-2",
    }
    assert json.loads(done.err.splitlines()[-1])["out_lines"] == 3


def test_wrong_lines_are_named_before_anything_is_spent(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    wrong = ["no JSON", request("q-1", "again"), request("big", "?", model="huge")]
    questions(tmp_path / "in.jsonl", 2, *wrong)
    done = penstock("run", "in.jsonl", "-o", "out.jsonl")
    assert done.status == 65
    for code in ("invalid_json_line", "duplicate_custom_id", "model_not_found"):
        assert code in done.err
    assert "3 of 5 lines are wrong" in done.err
    assert "--skip-invalid" in done.err.splitlines()[-1]
    errors = penstock("run", "in.jsonl", "-o", "out.jsonl", "--json").facts["errors"]
    assert [error["line"] for error in errors] == [3, 4, 5]
    assert records.newest(ledger) == []


def test_wrong_lines_can_be_skipped_into_the_error_file(
    penstock: Penstock, worker: BatchWorker, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 2, "no JSON")
    done = penstock("run", "in.jsonl", "-o", "out.jsonl", "--skip-invalid")
    assert done.status == 0, done.err
    assert names("out.jsonl") == ["q-0", "q-1"]
    [error] = read("out.errors.jsonl")
    assert error["error"]["code"] == "invalid_json_line"


def test_a_batch_of_which_every_line_failed_says_so(
    penstock: Penstock, worker: BatchWorker, tmp_path: Path
) -> None:
    write(tmp_path / "in.jsonl", request("a", "fail"), request("b", "fail too"))
    done = penstock("run", "in.jsonl", "-o", "out.jsonl")
    assert done.status == 1
    assert "not one of the 2 lines has an answer" in done.err
    facts = penstock("list", "--json").facts
    shown = penstock("show", facts["batch_id"])
    assert "it says so" in shown.out
    assert "2 = 2 failed" in shown.out


def test_max_cost_stops_with_what_is_done_and_more_money_goes_on(
    penstock: Penstock, worker: BatchWorker, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 40)
    command = ("run", "in.jsonl", "-o", "out.jsonl")
    done = penstock(*command, "--max-cost", "0.00000001")  # ten lines
    assert done.status == 79
    assert "max cost" in done.err
    assert 0 < len(names("out.jsonl")) < 40
    settled = worker.settled
    assert penstock(*command, "--max-cost", "0.00000001").status == 79
    assert worker.settled == settled
    batch_id = penstock("list", "--json").facts["batch_id"]
    assert penstock("resume", batch_id).status == 65
    assert penstock(*command, "--max-cost", "1").status == 0
    assert len(set(names("out.jsonl"))) == len(names("out.jsonl")) == 40


def test_ctrl_c_pauses_and_the_same_command_goes_on(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 30)
    seen: list[str] = []
    is_over = threading.Event()

    def interrupting(claim: Claim) -> Settlement:
        seen.append(claim.job_id)
        if len(seen) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        if len(seen) > 5:  # a command that is slow to hear of it must find some lines open
            is_over.wait(BOUND_S)
        return answer_or_fail(claim)

    with BatchWorker(ledger, answering=interrupting, at_once=1):
        done = penstock("run", "in.jsonl", "-o", "out.jsonl")
        is_over.set()
    assert done.status == 130
    [record] = records.newest(ledger)
    assert f"penstock batch resume {record.id}" in done.err
    assert (record.state, record.stopped_by) == ("paused", "its command was interrupted")
    with BatchWorker(ledger):
        again = penstock("run", "in.jsonl", "-o", "out.jsonl")
    assert again.status == 0, again.err
    assert len(set(names("out.jsonl"))) == len(names("out.jsonl")) == 30


def test_what_an_operator_paused_goes_on_when_he_says_so(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 3)
    batch_id = penstock("submit", "in.jsonl").out.strip()
    assert penstock("pause", batch_id).out == f"{batch_id} paused (by an operator)\n"
    assert penstock("pause", batch_id, "--json").facts["state"] == "paused"
    assert BatchWorker(ledger).serve() == 0
    assert penstock("resume", batch_id, "--max-cost", "1", "--json").facts["state"] == "running"
    assert BatchWorker(ledger).serve() == 3
    assert penstock("show", batch_id, "--json").facts["max_cost_usd"] == "1"


def test_a_command_leaves_a_batch_alone_that_an_operator_paused(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 3)

    def pausing(claim: Claim) -> Settlement:
        records.pause(ledger, records.newest(ledger)[0].id, "by an operator")
        return answer_or_fail(claim)

    with BatchWorker(ledger, answering=pausing, at_once=1) as worker:
        for _ in range(2):
            done = penstock("run", "in.jsonl", "-o", "out.jsonl")
            assert done.status == 80
            assert "by an operator" in done.err
        assert worker.settled == 1
    assert len(names("out.jsonl")) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--max-cost", "much"), "no amount above 0"),
        (("--format", "xml"), "known are openai"),
        (("--template", "@no-such-file"), "cannot be read"),
        (("--schema", "in.jsonl"), "is not JSON"),
    ],
)
def test_wrong_options_are_one_line(
    penstock: Penstock, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    questions(tmp_path / "in.jsonl", 2)
    done = penstock("run", "in.jsonl", "-o", "out.jsonl", *options)
    assert done.status == 65
    assert says in done.err
