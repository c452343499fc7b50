"""The commands, on a running stack."""

import pytest

from tests.acceptance.command import Home
from tests.acceptance.victims import engine_of, frozen, worker_of

FACTS = {
    "job_id", "status", "text", "tier", "reason", "task_type", "cached", "prompt_tokens",
    "completion_tokens", "charge_usd", "attempts", "error",
}  # fmt: skip


def test_a_submitted_question_is_answered_with_its_price(home: Home) -> None:
    facts = home.submit("What is the capital of France?")
    assert facts.keys() >= FACTS
    assert facts["status"] == "succeeded"
    assert "Paris" in facts["text"]
    assert facts["tier"] == "small"
    assert facts["reason"]
    assert facts["attempts"] == 1
    assert float(facts["charge_usd"]) > 0


def test_a_repeated_question_comes_from_the_cache_for_nothing(home: Home) -> None:
    question = "What is the capital of Japan?"
    first, second = home.submit(question), home.submit(question)
    assert not first["cached"]
    assert second["cached"]
    assert second["text"] == first["text"]
    assert second["charge_usd"] == "0"


def test_another_tenant_and_an_opt_out_are_never_served_from_the_cache(home: Home) -> None:
    question = "What is the capital of Italy?"
    home.submit(question)
    assert not home.submit(question, "--tenant", "somebody-else")["cached"]
    assert not home.submit(question, "--no-cache")["cached"]


def test_result_and_status_tell_of_a_finished_job(home: Home) -> None:
    job_id = home.submit("Xin chào!")["job_id"]
    assert home.json("result", job_id)["job_id"] == job_id
    assert home.json("status", job_id) == {
        "job_id": job_id, "status": "succeeded", "tier": "small",
    }  # fmt: skip


def test_a_running_job_can_be_cancelled(home: Home) -> None:
    long = "Tell me a long story about the sea."
    job_id = home.json(
        "submit", long, "--tier", "large", "--max-tokens", "7000", "--temperature", "1.5",
        "--stop", "no such text",
    )["job_id"]  # fmt: skip
    home.run("cancel", job_id)
    done = home.run("result", job_id, "--wait", "200")
    assert home.json("status", job_id)["status"] in {"cancelled", "succeeded"}
    assert done.returncode in {0, 1}


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["submit", ""], 65, "empty"),
        (["submit", "hello", "--tier", "huge"], 65, "the tiers are"),
        (["submit", "hello", "--max-tokens", "-3"], 65, "max_tokens"),
        (["submit", "word " * 9000], 65, "do not fit"),
        (["result", "no-such-job"], 66, "no job"),
        (["cancel", "no-such-job"], 66, "no job"),
    ],
)
def test_bad_input_gets_one_line_and_its_exit_status(
    home: Home, arguments: list[str], status: int, says: str
) -> None:
    done = home.run(*arguments)
    assert done.returncode == status
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout


def test_waiting_too_short_leaves_the_job_alone(home: Home) -> None:
    story = ("Write a story about a river.", "--tier", "small", "--max-tokens", "200")
    with frozen(engine_of(worker_of(home, "small"))):  # so that no wait is long enough
        done = home.run("submit", *story, "--no-cache", "--wait", "0.01", "--json")
    assert done.returncode == 75
    assert '"status": ' in done.stdout


def test_a_second_stack_on_the_same_home_is_refused(home: Home) -> None:
    done = home.run("up")
    assert done.returncode == 73
    assert "already runs" in done.stderr


def test_health_tells_that_the_workers_make_progress(home: Home) -> None:
    facts = home.json("health", command="penstock-worker")
    assert facts["ok"]
    assert {worker["sign"]["tier"] for worker in facts["workers"]} == {"small", "large"}


def test_health_without_a_worker_fails(home: Home) -> None:
    done = home.run("health", "--tier", "medium", command="penstock-worker")
    assert done.returncode == 1
