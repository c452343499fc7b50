"""penstock submit, result, status and cancel, on a ledger without a stack."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from penstock_producer.cli.main import run
from penstock_shared import clock
from penstock_shared.ledger import claiming, settling
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.ledger.settling import Settlement
from penstock_shared.stack.processes import free_port
from penstock_shared.words import JobState, Source
from tests.examples import ACCOUNT, NOW, accept_some, an_answer, claim_some, succeeded


class Done(NamedTuple):
    status: int
    out: str
    err: str


Penstock = Callable[..., Done]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The ledger of a home whose stack does not run."""
    home = tmp_path / "home"
    monkeypatch.setenv("PENSTOCK_HOME", str(home))
    monkeypatch.setenv("PENSTOCK_BROKER_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    opened = Database(f"sqlite:///{home / 'ledger.db'}")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def penstock(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Penstock:
    """The command in this process."""

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        status = ended.value.code
        assert status is None or isinstance(status, int)
        return Done(status or 0, *capsys.readouterr())

    return call


def an_answered_job(database: Database, **answer: Any) -> str:
    [claim] = claim_some(database, accept_some(database))
    made = an_answer(**answer)
    settling.settle(database, ACCOUNT, [succeeded(claim, 2_500_000, answer=made)], NOW + 1_234)
    return claim.job_id


def a_failed_job(database: Database) -> str:
    [claim] = claim_some(database, accept_some(database))
    refused = Settlement(claim, JobState.FAILED, 0, error="it is [/INST] [cursed]")
    settling.settle(database, ACCOUNT, [refused], NOW)
    return claim.job_id


def test_a_prompt_is_accepted_while_redis_is_away_and_that_is_said(
    penstock: Penstock, database: Database
) -> None:
    done = penstock("submit", "What is a dam?", "--json")
    facts = json.loads(done.out)
    assert done.status == 0
    assert "Redis does not answer" in done.err
    assert "penstock up" in done.err
    assert (facts["status"], facts["tier"]) == ("queued", "small")
    assert claiming.states(database, [facts["job_id"]]) == {facts["job_id"]: JobState.QUEUED}


def test_submit_tells_a_person_the_job_and_its_tier(penstock: Penstock, database: Database) -> None:
    done = penstock("submit", "What is a dam?", "--tier", "large")
    assert (done.status, done.out) == (0, "")
    assert "queued" in done.err
    assert "large (" in done.err


def test_all_options_of_submit_reach_the_request(penstock: Penstock, database: Database) -> None:
    done = penstock(
        "submit", "hello", "--system", "Be brief.", "--task-type", "chat", "--tenant", "them",
        "--workflow", "w", "--deadline", "60", "--idempotency-key", "k", "--max-tokens", "9",
        "--temperature", "0.5", "--top-p", "0.9", "--seed", "4", "--stop", "a", "--stop", "b",
        "--no-cache", "--json",
    )  # fmt: skip
    facts = json.loads(done.out)
    assert (facts["tenant"], facts["workflow"], facts["task_type"]) == ("them", "w", "chat")
    [claim] = claim_some(database, [facts["job_id"]], now_ms=clock.now_ms())
    sampling = claim.request.sampling
    assert [message.role for message in claim.request.messages] == ["system", "user"]
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (9, 0.5, 0.9)
    assert (sampling.seed, sampling.stop) == (4, ("a", "b"))
    assert (claim.request.cache, claim.request.idempotency_key) == (False, "k")
    assert claim.deadline_ms is not None


def test_the_same_idempotency_key_gives_the_same_job(
    penstock: Penstock, database: Database
) -> None:
    arguments = ("submit", "hello", "--idempotency-key", "k", "--json")
    first, second = (json.loads(penstock(*arguments).out)["job_id"] for _ in range(2))
    assert first == second
    refused = penstock("submit", "another", "--idempotency-key", "k")
    assert (refused.status, refused.out) == (65, "")


def test_waiting_in_vain_leaves_the_job_and_says_so_by_status(
    penstock: Penstock, database: Database
) -> None:
    done = penstock("submit", "What is a dam?", "--wait", "0.05", "--json")
    assert done.status == 75
    assert json.loads(done.out)["status"] == "queued"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("submit", ""), 65, "empty"),
        (("submit", "hello", "--tier", "huge"), 65, "the tiers are"),
        (("submit", "hello", "--max-tokens", "-3"), 65, "max_tokens"),
        (("submit", "hello", "--task-type", "magic"), 2, "task-type"),
        (("submit",), 2, "Missing argument"),
        (("result", "no-such-job"), 66, "no job"),
        (("status", "no-such-job"), 66, "no job"),
        (("cancel", "no-such-job"), 66, "no job"),
    ],
)
def test_wrong_input_has_its_exit_status_and_prints_no_facts(
    penstock: Penstock, database: Database, arguments: tuple[str, ...], status: int, says: str
) -> None:
    done = penstock(*arguments)
    assert (done.status, done.out) == (status, "")
    assert says in done.err


def test_without_a_ledger_the_way_to_one_is_told(
    penstock: Penstock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    done = penstock("submit", "hello")
    assert done.status == 69
    assert "penstock up" in done.err


def test_the_home_option_wins_over_the_variable(
    penstock: Penstock, database: Database, tmp_path: Path
) -> None:
    job_id = accept_some(database)[0]
    assert penstock("--home", str(tmp_path / "home"), "status", job_id).status == 0
    assert penstock("--home", str(tmp_path / "other"), "status", job_id).status == 69


def test_a_prompt_is_read_from_standard_input(
    penstock: Penstock, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_bytes("Đập là gì?".encode())
    with (tmp_path / "text").open() as text:
        monkeypatch.setattr(sys, "stdin", text)
        job_id = json.loads(penstock("submit", "-", "--json").out)["job_id"]
    assert claim_some(database, [job_id])[0].request.question == "Đập là gì?"


def test_standard_input_that_is_no_text_is_refused(
    penstock: Penstock, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with (tmp_path / "bytes").open() as text:
        monkeypatch.setattr(sys, "stdin", text)
        done = penstock("submit", "-")
    assert done.status == 65
    assert "UTF-8" in done.err


def test_result_prints_the_answer_alone_and_its_facts_beside_it(
    penstock: Penstock, database: Database
) -> None:
    done = penstock("result", an_answered_job(database, text="A [bold] wall.\nOf stone."))
    assert (done.status, done.out) == (0, "A [bold] wall.\nOf stone.\n")
    for fact in ("succeeded", "from the engine", "7 + 5 tokens", "1.23 s", "$0.000002500"):
        assert fact in done.err


def test_an_answer_is_printed_to_the_letter(penstock: Penstock, database: Database) -> None:
    text = "if a:\n\treturn b[:key:]  # :dog: " + "and so on " * 40
    assert penstock("result", an_answered_job(database, text=text)).out == text + "\n"


def test_an_answer_cannot_steer_a_terminal(
    penstock: Penstock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = an_answered_job(database, text="\x1b[2Ja\tb\x07\x9b\nđập")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert penstock("result", job_id).out == "[2Ja\tb\nđập\n"


def test_result_says_when_the_answer_came_from_the_cache(
    penstock: Penstock, database: Database
) -> None:
    hit = {"source": Source.SEMANTIC, "entry_id": 7, "source_detail": "the same words"}
    done = penstock("result", an_answered_job(database, saved_pusd=3_500_000, **hit))
    for fact in ("from the cache (semantic)", "$0.000003500 saved", "entry 7: the same words"):
        assert fact in done.err


def test_result_says_which_entry_was_near(penstock: Penstock, database: Database) -> None:
    done = penstock("result", an_answered_job(database, near_miss="entry 7: differ in\n\x1b[2J"))
    assert "near miss: entry 7: differ in [2J" in done.err
    assert "saved" not in done.err


def test_result_as_json_is_one_line(penstock: Penstock, database: Database) -> None:
    done = penstock("result", an_answered_job(database, text="Một\nhai"), "--json")
    assert done.out.count("\n") == 1
    assert "Một" in done.out
    facts = json.loads(done.out)
    assert (facts["text"], facts["charge_usd"], facts["cached"]) == (
        "Một\nhai",
        "0.0000025",
        False,
    )


def test_result_of_a_job_without_an_answer_has_status_one_and_the_reason(
    penstock: Penstock, database: Database
) -> None:
    job_id = a_failed_job(database)
    done = penstock("result", job_id)
    assert (done.status, done.out) == (1, "")
    assert "job_failed" in done.err
    assert "it is [/INST] [cursed]" in done.err
    as_json = penstock("result", job_id, "--json")
    assert (as_json.status, as_json.err) == (1, "")
    assert json.loads(as_json.out)["error"] == "it is [/INST] [cursed]"


def test_result_of_an_open_job_is_where_it_stands(penstock: Penstock, database: Database) -> None:
    [job_id] = accept_some(database)
    done = penstock("result", job_id)
    assert (done.status, done.out) == (0, "")
    assert "queued" in done.err


def test_status_shows_each_job_in_a_line(penstock: Penstock, database: Database) -> None:
    ids = [*accept_some(database, 2), an_answered_job(database)]
    done = penstock("status", *ids)
    assert done.status == 0
    lines = {job_id: line for line in done.out.splitlines() for job_id in ids if job_id in line}
    assert ["queued" in lines[job_id] for job_id in ids] == [True, True, False]
    assert "succeeded" in lines[ids[2]]
    as_json = [json.loads(line) for line in penstock("status", *ids, "--json").out.splitlines()]
    assert [fact["job_id"] for fact in as_json] == ids
    assert as_json[2] == {"job_id": ids[2], "status": "succeeded", "tier": "small"}


def test_brackets_in_a_routing_rules_name_are_text(penstock: Penstock, database: Database) -> None:
    [job_id] = accept_some(database)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET reason = 'rule [/a] [b]'")
    assert "rule [/a] [b]" in penstock("status", job_id).out
    assert "rule [/a] [b]" in penstock("result", job_id).err


def test_cancel_ends_what_waits_and_asks_what_runs(penstock: Penstock, database: Database) -> None:
    queued, running, done = [*accept_some(database, 2), an_answered_job(database)]
    claim_some(database, [running])
    cancelled = penstock("cancel", queued, running, done)
    assert cancelled.status == 0
    assert cancelled.out.splitlines() == [
        f"{queued} cancelled",
        f"{running} running, its worker will end it",
        f"{done} succeeded",
    ]
    as_json = penstock("cancel", queued, "--json")
    assert json.loads(as_json.out) == {"job_id": queued, "status": "cancelled"}


def test_result_of_a_cancelled_job_says_who_cancelled(
    penstock: Penstock, database: Database
) -> None:
    [job_id] = accept_some(database)
    penstock("cancel", job_id)
    done = penstock("result", job_id)
    assert done.status == 1
    assert "job_cancelled" in done.err
    assert "by the caller" in done.err
