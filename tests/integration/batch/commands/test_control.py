"""``penstock batch submit``, and what can be done with a batch afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock_shared.ledger.batches import loading, records
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
