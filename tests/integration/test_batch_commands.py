"""``penstock batch``: files in, files out, beside a worker that has no engine."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from penstock_producer.cli.main import run
from penstock_shared.ledger.batches import loading, records
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.ledger.settling import Settlement
from tests.batch_worker import BatchWorker, answer_or_fail

BOUND_S = 60.0


class Done(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        """The last line, which is JSON."""
        return json.loads(self.out.splitlines()[-1])


Penstock = Callable[..., Done]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The ledger of a home whose stack does not run."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    opened = Database(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def penstock(ledger: Database, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> Penstock:
    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["penstock", "batch", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capfdbinary.readouterr()
        return Done(int(ended.value.code or 0), out.decode(), err.decode())

    return call


@pytest.fixture
def worker(ledger: Database) -> Iterator[BatchWorker]:
    with BatchWorker(ledger) as worker:
        yield worker


def request(custom_id: str, prompt: str, **body: Any) -> str:
    chat = {"messages": [{"role": "user", "content": prompt}], **body}
    return json.dumps(
        {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": chat},
        ensure_ascii=False,
    )


def write(path: Path, *requests: str) -> Path:
    path.write_text("".join(f"{each}\n" for each in requests), encoding="utf-8")
    return path


def questions(path: Path, count: int, *more: str) -> Path:
    return write(path, *(request(f"q-{n}", f"What is {n}?") for n in range(count)), *more)


def read(path: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def names(path: str | Path) -> list[str]:
    return sorted(line["custom_id"] for line in read(path))


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


def test_submit_does_not_wait_and_results_come_while_the_rest_runs(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 4, request("bad", "fail"))
    submitted = penstock("submit", "in.jsonl", "--workflow", "nightly")
    assert submitted.status == 0, submitted.err
    batch_id = submitted.out.strip()
    assert penstock("results", batch_id, "-o", "none.jsonl").status == 0
    BatchWorker(ledger, at_once=2).serve()
    some = penstock("results", batch_id, "-o", "some.jsonl", "--json").facts
    assert some == {"batch_id": batch_id, "out_lines": 2, "error_lines": 0}
    BatchWorker(ledger).serve()
    done = penstock("results", batch_id, "-o", "-", "--errors", "bad.jsonl")
    assert len(done.out.splitlines()) == 4
    assert names("bad.jsonl") == ["bad"]


def test_the_same_input_submitted_again_is_another_batch(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 2)
    first, second = (penstock("submit", "in.jsonl", "--json").facts for _ in range(2))
    assert first["batch_id"] != second["batch_id"]
    assert first["total"] == 2


def test_lists_and_shows_have_exact_facts(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 3, request("bad", "fail"))
    assert "there is no batch" in penstock("list").out
    first = penstock("submit", "in.jsonl", "--tenant", "acme").out.strip()
    second = penstock("submit", "in.jsonl").out.strip()
    BatchWorker(ledger, at_once=2).serve()
    listed = [json.loads(line) for line in penstock("list", "--json").out.splitlines()]
    assert [batch["batch_id"] for batch in listed] == [second, first]
    assert penstock("list", "--tenant", "acme", "--json").facts["batch_id"] == first
    assert "░" in penstock("list").out
    for batch_id in (first, second):
        facts = penstock("show", batch_id, "--json").facts
        assert sum(facts["counts"].values()) == facts["total"] == 4
        assert [tier["tier"] for tier in facts["tiers"]] == ["small"]
    assert "lines      4 = " in penstock("show", second).out


def test_cancelled_lines_are_counted_and_the_rest_stays(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    questions(tmp_path / "in.jsonl", 4)
    batch_id = penstock("submit", "in.jsonl").out.strip()
    BatchWorker(ledger, at_once=1).serve()
    assert penstock("cancel", batch_id, "--json").facts["state"] == "cancelled"
    counts = penstock("show", batch_id, "--json").facts["counts"]
    assert (counts["succeeded"], counts["cancelled"]) == (1, 3)
    assert penstock("resume", batch_id).status == 80
    refused = penstock("retry-failed", batch_id)
    assert refused.status == 80
    assert "run its input with another OUT" in refused.err


def test_submit_loads_a_batch_that_was_paused_meanwhile_and_says_so(
    penstock: Penstock, ledger: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions(tmp_path / "in.jsonl", 100)
    load = loading.load

    def load_and_pause(*arguments: Any, **more: Any) -> None:
        load(*arguments, **more)
        records.pause(ledger, records.newest(ledger)[0].id, "by an operator")

    monkeypatch.setattr(loading, "load", load_and_pause)
    done = penstock("submit", "in.jsonl")
    [record] = records.newest(ledger)
    assert (done.status, done.out.strip(), record.loaded) == (0, record.id, 100)
    assert "paused: by an operator" in done.err


def test_failed_lines_can_be_tried_again(
    penstock: Penstock, ledger: Database, tmp_path: Path
) -> None:
    write(tmp_path / "in.jsonl", request("a", "fail"), request("b", "fine"))
    with BatchWorker(ledger):
        penstock("run", "in.jsonl", "-o", "out.jsonl")
    batch_id = penstock("list", "--json").facts["batch_id"]
    assert penstock("retry-failed", batch_id, "--json").facts["retried"] == 1
    penstock("pause", batch_id)
    assert f"after 'penstock batch resume {batch_id}'" in penstock("retry-failed", batch_id).err
    penstock("resume", batch_id)

    def fine(claim: Claim) -> Settlement:
        return answer_or_fail(claim._replace(request=claim.request.build("now it works")))

    with BatchWorker(ledger, answering=fine):
        done = penstock("run", "in.jsonl", "-o", "out.jsonl")
    assert done.status == 0, done.err
    assert names("out.jsonl") == ["a", "b"]
    assert read("out.errors.jsonl") == []


@pytest.mark.parametrize(
    "command",
    [
        ("show", "no"), ("results", "no", "-o", "x"), ("cancel", "no"), ("pause", "no"),
        ("resume", "no"), ("retry-failed", "no"),
    ],
)  # fmt: skip
def test_an_unknown_batch_is_exit_status_66(penstock: Penstock, command: tuple[str, ...]) -> None:
    done = penstock(*command)
    assert done.status == 66
    assert "there is no batch 'no'" in done.err


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
