"""A bad request is refused in one line that helps."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock_shared import clock
from penstock_shared.errors import InvalidRequest
from penstock_shared.request import Request


def refusal_of(prompt: Any = "What is a dam?", **fields: Any) -> str:
    with pytest.raises(InvalidRequest) as refusal:
        Request.build(prompt, **fields)
    message = refusal.value.message
    assert "\n" not in message
    assert len(message) < 600
    return message


def a_schema(**keywords: Any) -> dict[str, Any]:
    described = {"name": "answer", "schema": {"type": "object", **keywords}}
    return {"type": "json_schema", "json_schema": described}


def turns(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": f"the {role} speaks"} for role in roles]


@pytest.mark.parametrize("prompt", ["", "   \n\t", [{"role": "user", "content": " "}]])
def test_an_empty_prompt_is_refused(prompt: Any) -> None:
    assert "the prompt is empty" in refusal_of(prompt)


def test_a_prompt_without_messages_is_refused() -> None:
    assert "messages" in refusal_of([])


def test_a_nul_byte_is_refused_with_the_likely_cause() -> None:
    assert "NUL byte" in refusal_of("a\x00b")


def test_a_prompt_of_five_megabytes_is_refused_without_repeating_it() -> None:
    message = refusal_of("x" * 5_000_000)
    assert "5,000,000 bytes" in message
    assert "4,194,304" in message


def test_the_size_counts_bytes_of_all_messages() -> None:
    half = {"role": "user", "content": "đ" * (1024 * 1024 + 1)}
    assert "bytes" in refusal_of([half, {"role": "assistant", "content": "ok"}, half])


@pytest.mark.parametrize("prompt", ["a\ud800b", [{"role": "user", "content": "a\ud800b"}]])
def test_a_lone_surrogate_is_refused(prompt: Any) -> None:
    assert "unicode" in refusal_of(prompt).lower()


@pytest.mark.parametrize("wrong", ["a\ud800b", "a\x00b", "\\\x00"])
@pytest.mark.parametrize(
    "fields",
    [
        lambda text: {"stop": [".", text]},
        lambda text: {"metadata": {"user": text}},
        lambda text: {"metadata": {"users": [{text: 1}]}},
        lambda text: {"response_format": a_schema(title=text)},
        lambda text: {"response_format": a_schema(**{text: {}})},
    ],
)
def test_text_that_no_ledger_can_keep_is_refused_wherever_it_stands(
    fields: Any, wrong: str
) -> None:
    given = fields(wrong)
    message = refusal_of(**given)
    assert message.startswith(tuple(given))
    assert "NUL" in message or "surrogate" in message


def test_text_that_only_looks_like_a_nul_is_kept() -> None:
    looks = "\\u0000 \\\\u0000"
    schema = a_schema(title=looks)
    request = Request.build("Hi", metadata={looks: looks}, stop=looks, response_format=schema)
    assert Request.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize("field", ["tenant", "workflow", "idempotency_key", "tier"])
@pytest.mark.parametrize("value", ["", "a\nb", "a\x00b", "x" * 201, "a\ud800"])
def test_a_name_with_control_characters_or_of_bad_length_is_refused(field: str, value: str) -> None:
    assert refusal_of(**{field: value}).startswith(f"{field}:")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", -1),
        ("max_tokens", 0),
        ("max_tokens", "many"),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("top_p", 0),
        ("seed", 2**63),
        ("stop", ["x"] * 17),
        ("task_type", "cooking"),
        ("metadata", {"a": object()}),
    ],
)
def test_a_parameter_out_of_bounds_is_refused_by_its_name(field: str, value: Any) -> None:
    assert refusal_of(**{field: value}).startswith(field)


def test_an_unknown_parameter_is_refused_with_the_known_ones() -> None:
    message = refusal_of(max_token=5)
    assert "unknown parameter 'max_token'" in message
    assert "max_tokens" in message


def test_min_tokens_above_max_tokens_is_refused() -> None:
    assert "min_tokens is larger" in refusal_of(min_tokens=10, max_tokens=5)


def test_metadata_that_is_too_large_is_refused() -> None:
    assert "metadata: it is larger than 65,536 bytes" in refusal_of(metadata={"a": "x" * 70_000})
    Request.build("Hi", metadata={"a": "đ" * 30_000})  # counted as UTF-8


@pytest.mark.parametrize(
    "messages", [turns("user", "assistant"), turns("system"), turns("user", "system")]
)
def test_a_chat_that_does_not_end_with_the_user_is_refused(messages: Any) -> None:
    refusal_of(messages)


def test_an_unknown_role_is_refused() -> None:
    assert "messages.0.role" in refusal_of(turns("robot", "user"))


@pytest.mark.parametrize("prompt", [5, None, 1.5, [5], ["text"]])
def test_a_prompt_that_is_neither_text_nor_messages_is_refused(prompt: Any) -> None:
    refusal_of(prompt)


@pytest.mark.parametrize(
    "deadline",
    [
        0,
        -5,
        timedelta(seconds=-1),
        datetime(2020, 1, 1, tzinfo=UTC),
        float("nan"),
        float("inf"),
        1e300,
        "soon",
    ],
)
def test_a_deadline_that_has_passed_or_is_no_time_is_refused(deadline: Any) -> None:
    assert "deadline" in refusal_of(deadline=deadline)


def test_a_deadline_may_be_seconds_a_timedelta_or_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_800_000_000_000
    monkeypatch.setattr(clock, "now_ms", lambda: now)
    moments = (1.5, timedelta(seconds=1.5), datetime.fromtimestamp((now + 1500) / 1000, tz=UTC))
    assert {Request.build("Hi", deadline=moment).deadline_ms for moment in moments} == {now + 1500}


def test_a_single_stop_string_is_a_list_of_one() -> None:
    assert Request.build("Hi", stop="END").sampling.stop == ("END",)


def test_none_means_the_default() -> None:
    assert Request.build("Hi", max_tokens=None, tenant=None, seed=None) == Request.build("Hi")


def test_a_completion_has_one_prompt() -> None:
    assert Request.build(" raw ", kind="completion").question == " raw "
    several = turns("user", "user")
    assert "has one prompt" in refusal_of(several, kind="completion")
    assert "role 'user'" in refusal_of(turns("system", "user"), kind="completion")


def test_an_embedding_has_one_or_more_texts() -> None:
    assert len(Request.build(turns("user", "user"), kind="embedding").messages) == 2
    assert "role 'user'" in refusal_of(turns("assistant", "user"), kind="embedding")
    blank = {"role": "user", "content": " "}
    assert "text 2" in refusal_of([*turns("user"), blank], kind="embedding")
    assert "2,048 texts and this one has 2,049" in refusal_of(
        turns("user") * 2049, kind="embedding"
    )
    assert "response_format" in refusal_of(
        kind="embedding", response_format={"type": "json_object"}
    )


def test_an_unknown_kind_is_refused() -> None:
    assert refusal_of(kind="picture").startswith("kind:")
