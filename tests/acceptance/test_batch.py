"""A file in, a file out, on real engines, while the command and a worker are killed."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from penstock_producer import load_settings
from penstock_shared import money
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Charge, Job, JobResult
from tests.acceptance.command import Home, wait_until
from tests.acceptance.victims import ENDS_S, worker_of

LINES = 60
STORIES = LINES - 3
VIETNAMESE = "Thủ đô của Việt Nam là gì?"
# Three tokens for each character, where routing reckons with one.
TOO_LONG = "ꙮ" * 900
YES_OR_NO = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": {"enum": ["yes", "no"]}},
}
STORY = {"max_tokens": 300, "ignore_eos": True}


def line(custom_id: str, prompt: str, **body: Any) -> str:
    chat = {"model": "small", "messages": [{"role": "user", "content": prompt}], **body}
    return json.dumps(
        {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": chat},
        ensure_ascii=False,
    )


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """Stories, a question in Vietnamese, one to be answered in JSON, and a prompt too long."""
    stories = [line(f"s-{n}", f"Tell a long story number {n}.", **STORY) for n in range(STORIES)]
    special = [
        line("vi", VIETNAMESE, max_tokens=16),
        line("long", TOO_LONG, max_tokens=16),
        line("json", "Is Hanoi a city?", max_tokens=16, response_format=YES_OR_NO),
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join([*special, *stories]) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The lines by their custom_id, which must not repeat."""
    found = [json.loads(text) for text in path.read_text("utf-8").splitlines()]
    assert {name: n for name, n in Counter(e["custom_id"] for e in found).items() if n > 1} == {}
    return {each["custom_id"]: each for each in found}


def text_of(answer: dict[str, Any]) -> str:
    text: str = answer["response"]["body"]["choices"][0]["message"]["content"]
    return text


def test_each_line_is_answered_once_whatever_is_killed(
    home: Home, questions: Path, tmp_path: Path
) -> None:
    out, errors = tmp_path / "answers.jsonl", tmp_path / "errors.jsonl"
    command = ("batch", "run", str(questions), "-o", str(out), "--errors", str(errors))

    worker = worker_of(home, "small")
    process = home.start(*command)
    wait_until(lambda: out.exists() and out.stat().st_size, ENDS_S)
    worker.kill()  # the stories are in its engine
    process.kill()
    process.wait()

    batch_id = home.json("batch", "list")["batch_id"]
    so_far = home.json("batch", "results", batch_id, "-o", str(tmp_path / "so-far.jsonl"))
    assert 0 < so_far["out_lines"] < LINES

    facts = home.json(*command)
    assert facts["batch_id"] == batch_id
    assert (facts["counts"]["succeeded"], facts["counts"]["failed"]) == (LINES - 1, 1)

    answered, failed = read(out), read(errors)
    assert answered.keys() | failed.keys() == {
        "vi",
        "long",
        "json",
        *(f"s-{n}" for n in range(STORIES)),
    }
    assert failed.keys() == {"long"}
    assert failed["long"]["response"]["body"]["error"]["message"]
    assert text_of(answered["vi"])
    assert json.loads(text_of(answered["json"])) in {"yes", "no"}
    for name, early in read(tmp_path / "so-far.jsonl").items():
        assert early["response"] == answered[name]["response"]
    assert {each["penstock"]["attempts"] for each in answered.values()} == {1}
    check_books(home, batch_id, facts["cost_usd"])


def check_books(home: Home, batch_id: str, cost_usd: str) -> None:
    """One answer and one charge for each line; all of it adds up to price x time."""
    database = Database(load_settings(home.folder).ledger)
    try:
        with database.read() as connection:
            ids = list(connection.scalars(select(Job.id).where(Job.batch_id == batch_id)))
            charged = connection.execute(
                select(Charge.job_id, Charge.amount_pusd).where(Charge.job_id.in_(ids))
            ).all()
            outcomes = set(
                connection.scalars(select(Attempt.outcome).where(Attempt.job_id.in_(ids)))
            )
            results = list(
                connection.scalars(select(JobResult.job_id).where(JobResult.job_id.in_(ids)))
            )
    finally:
        database.close()
    assert len(ids) == LINES
    assert len(charged) == len(results) == LINES - 1
    assert {"lost", "succeeded", "failed"} <= outcomes
    spent_usd = money.to_usd(sum(row.amount_pusd for row in charged))
    assert money.usd_text(spent_usd) == cost_usd
    audited = home.json("audit")
    assert (audited["adds_up"], audited["difference_usd"]) == (True, "0")
    shown = home.json("batch", "show", batch_id)
    assert sum(shown["counts"].values()) == shown["total"] == LINES
    assert (shown["state"], shown["cost_usd"]) == ("completed", cost_usd)


def test_an_estimate_rests_on_what_this_stack_measured(home: Home, questions: Path) -> None:
    home.submit("Tell a story about a river.", "--tier", "small", "--no-cache", "--max-tokens", "8")
    facts = home.json("batch", "run", str(questions), "-o", "unused.jsonl", "--dry-run")
    tier = facts["tiers"]["small"]
    assert (tier["lines"], tier["workers"]) == (LINES, 1)
    assert tier["measured_on"] >= 1
    assert 0 < float(facts["cost_usd"]["low"]) <= float(facts["cost_usd"]["high"])
