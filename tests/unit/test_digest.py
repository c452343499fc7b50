"""The digest is what an idempotency key stands for."""

import subprocess
import sys
from typing import Any

import pytest

from penstock_shared.request import Request


def digest(prompt: str = "What is a dam?", **fields: Any) -> str:
    return Request.build(prompt, **fields).digest()


def test_the_same_request_has_the_same_digest_in_every_process() -> None:
    code = "from penstock_shared.request import Request as R; print(R.build('Đập là gì?').digest())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest("Đập là gì?")


def test_the_digest_of_a_stored_request_is_that_of_the_original() -> None:
    request = Request.build("Hi", stop=["END"], metadata={"a": [1, None]}, temperature=0.5)
    stored = request.model_dump_json(exclude_defaults=True)
    assert Request.model_validate_json(stored).digest() == request.digest()


def test_the_key_itself_and_the_deadline_are_no_part_of_the_digest() -> None:
    assert digest(idempotency_key="k", deadline=60) == digest(idempotency_key="other")


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "What is a weir?"},
        {"tier": "large"},
        {"task_type": "chat"},
        {"tenant": "other"},
        {"workflow": "nightly"},
        {"metadata": {"a": 1}},
        {"cache": False},
        {"max_tokens": 255},
        {"temperature": 0.1},
        {"top_p": 0.9},
        {"top_k": 1},
        {"min_p": 0.1},
        {"presence_penalty": 0.1},
        {"frequency_penalty": 0.1},
        {"repetition_penalty": 1.1},
        {"seed": 0},
        {"stop": ["END"]},
        {"ignore_eos": True},
        {"min_tokens": 1},
        {"kind": "completion"},
        {"kind": "embedding"},
        {"response_format": {"type": "json_object"}},
    ],
)
def test_everything_else_changes_the_digest(change: dict[str, Any]) -> None:
    assert digest(**change) != digest()


def test_digests_that_are_in_ledgers_hold() -> None:
    old = "5b73e02921b9cd8f7a6f74c53349af90357a0e6b4fc07147a39a4de5854d1dcc"
    assert digest("Đập là gì?") == old
    assert digest("Đập là gì?", kind="chat", response_format={"type": "text"}) == old
    fields: dict[str, Any] = {"stop": ["END"], "metadata": {"a": 1}, "tenant": "t"}
    assert digest("Hi", temperature=0.5, **fields) == (
        "e8ff5b67fd1536ad0676e9fe5a2253f9053fbd9156bfdf81503a7a9962955ad9"
    )
