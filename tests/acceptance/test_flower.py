"""Real Flower: every job by id, with state and runtime, and nobody's words."""

import json
import urllib.error

import pytest

from tests.acceptance.command import Home, foreign_app, wait_until
from tests.acceptance.flower import ask_flower, password_of, tasks_of
from tests.acceptance.victims import ENDS_S

pytestmark = pytest.mark.usefixtures("celery_garbage")

SECRET = "the-canary-in-the-prompt"


def test_jobs_show_by_id_with_state_and_runtime_and_without_text(home: Home) -> None:
    job_id = home.submit(f"What is the capital of {SECRET}?")["job_id"]
    with foreign_app(home.stack["broker_url"]) as foreign:
        sent = foreign.send_task(
            "penstock.infer", kwargs={"prompt": f"Hello {SECRET}"}, queue="penstock.small"
        )
    ids = {job_id, sent.id}
    wait_until(
        lambda: all(tasks_of(home).get(i, {}).get("state") == "SUCCESS" for i in ids), ENDS_S
    )
    tasks = tasks_of(home)
    assert all(tasks[i]["runtime"] > 0 for i in ids)
    assert all(tasks[i]["name"] == "penstock.infer" for i in ids)
    everything = json.dumps(tasks) + ask_flower(home, "/metrics", password=password_of(home))
    everything += "".join(
        ask_flower(home, f"/api/task/info/{i}", password=password_of(home)) for i in ids
    )
    assert SECRET not in everything


def test_prompts_and_passwords_are_in_no_log(home: Home) -> None:
    home.submit(f"Is {SECRET} in a log?")
    secrets = json.loads((home.folder / "secrets.json").read_text()).values()
    for log in (home.folder / "logs").iterdir():
        text = log.read_text(errors="replace")
        assert SECRET not in text, log
        assert not any(secret in text for secret in secrets), log


def test_nobody_sees_flower_without_the_password(home: Home) -> None:
    for password in (None, "wrong"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask_flower(home, "/api/workers", password=password)
        refused.value.close()
        assert refused.value.code == 401
