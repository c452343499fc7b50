"""Every line of a batch file is a request, or an error that says what to do."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penstock_producer.batch.reading import Line, LineError
from penstock_producer.batch.reading.input_file import InputFile
from penstock_producer.batch.reading.making import Maker
from penstock_producer.batch.reading.models import Models
from penstock_producer.batch.reading.numbered import MAX_LINE_BYTES
from penstock_producer.batch.reading.openai_file import OpenAIFile
from penstock_producer.batch.reading.options import CHAT, ReadOptions
from penstock_shared.request import Request
from penstock_shared.words import RequestKind, TaskType
from tests.batch_inputs import QUESTION, SETTINGS, lines_of, openai_line, opened, write_lines


def line_of(tmp_path: Path, text: str, **options: Any) -> Line:
    """The second line of a file whose first is a good one."""
    file = write_lines(tmp_path / "in.jsonl", [openai_line("first"), text])
    return lines_of(file, **options)[1]


def request_of(tmp_path: Path, **body: Any) -> Request:
    line = line_of(tmp_path, openai_line(**body))
    assert line.error is None
    assert line.request is not None
    return line.request


def error_of(tmp_path: Path, text: str) -> LineError:
    line = line_of(tmp_path, text)
    assert line.number == 2
    assert line.request is None
    assert line.error is not None
    assert "\n" not in line.error.message
    assert len(line.error.message) < 700
    return line.error


def test_a_line_becomes_the_request_that_a_client_would_make(tmp_path: Path) -> None:
    request = request_of(
        tmp_path,
        model="small",
        messages=[
            {"role": "developer", "content": "Answer in Vietnamese."},
            {
                "role": "user",
                "content": [{"type": "text", "text": t} for t in (QUESTION, "Và Lào?")],
            },
        ],
        max_completion_tokens=7,
        temperature=0.5,
        stop="\n",
        top_k=3,
        ignore_eos=True,
        user="lan",
        metadata={"night": 3},
        penstock={"workflow": "w", "task_type": "chat", "cache": False},
        n=1,
        stream=False,
        logprobs=None,
        tools=[],
    )
    assert [(m.role, m.content) for m in request.messages] == [
        ("system", "Answer in Vietnamese."),
        ("user", f"{QUESTION}\nVà Lào?"),
    ]
    assert request.tier == "small"
    assert request.sampling.max_tokens == 7
    assert request.sampling.stop == ("\n",)
    assert request.sampling.ignore_eos
    assert request.metadata == {"night": 3, "user": "lan"}
    assert (request.workflow, request.cache) == ("w", False)
    assert request.task_type is TaskType.CHAT
    assert request.kind is RequestKind.CHAT


@pytest.mark.parametrize(
    ("model", "tier"),
    [
        ("large", "large"),
        ("penstock-toys/medium", "medium"),
        ("auto", None),
        ("penstock", None),
        (None, None),
    ],
)
def test_a_model_is_a_tier_or_its_model_or_nothing(
    tmp_path: Path, model: str | None, tier: str | None
) -> None:
    assert request_of(tmp_path, model=model).tier == tier


def test_the_last_part_of_a_models_path_counts_unless_two_share_it() -> None:
    tiers = dict(SETTINGS.tiers)
    names = {"small": "/m/llama-8b", "medium": "one/qwen", "large": "two/qwen"}
    changed = {t: tiers[t].model_copy(update={"model": m}) for t, m in names.items()}
    models = Models(SETTINGS.model_copy(update={"tiers": changed}))
    assert models.tier_of("llama-8b") == "small"
    assert models.tier_of("two/qwen") == "large"
    with pytest.raises(Exception, match="known are"):
        models.tier_of("qwen")


def test_an_unknown_model_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    error = error_of(tmp_path, openai_line(model="gpt-5"))
    assert error.code == "model_not_found"
    assert error.param == "model"
    assert "'gpt-5'" in error.message
    assert "penstock-toys/small" in error.message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"stream": True}, "stream"),
        ({"tools": [{}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"frobnicate": 1}, "frobnicate"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "x", "name": "b"}]}, "messages.0.name"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages.0.content",
        ),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        ({"metadata": 3}, "metadata"),
        ({"user": 3}, "user"),
        ({"penstock": {"tennant": "a"}}, "penstock.tennant"),
        ({"penstock": {"tenant": "acme"}}, "penstock.tenant"),
        ({"penstock": {"task_type": "poetry"}}, "task_type"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"messages": [{"role": "user", "content": "word " * 50_000}]}, "messages"),
        ({"messages": [{"role": "user", "content": "word"}], "max_tokens": 9000}, "messages"),
    ],
)
def test_what_is_not_supported_is_refused_by_its_name(
    tmp_path: Path, body: dict[str, Any], param: str
) -> None:
    error = error_of(tmp_path, openai_line(**body))
    assert (error.code, error.param) == ("invalid_request", param)


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        ("{", "invalid_json_line", None),
        ("[1]", "invalid_json_line", None),
        ("NaN", "invalid_json_line", None),
        ('{"a": 1e999}', "invalid_json_line", None),
        ("[" * 100_000, "invalid_json_line", None),
        ("9" * 10_000, "invalid_json_line", None),
        ("{}", "invalid_request", "custom_id"),
        (openai_line(""), "invalid_request", "custom_id"),
        (openai_line(7), "invalid_request", "custom_id"),
        (openai_line("x" * 513), "invalid_request", "custom_id"),
        (openai_line("a\0"), "invalid_request", "custom_id"),
        (openai_line(url="/v1/embeddings"), "url_mismatch", "url"),
        (openai_line(url="/v1/responses"), "url_mismatch", "url"),
        (openai_line().replace("POST", "GET"), "invalid_request", "method"),
        ('{"custom_id": "a", "method": "POST", "url": 3}', "url_mismatch", "url"),
        (json.dumps({"custom_id": "a", "method": "POST", "url": CHAT}), "invalid_request", "body"),
    ],
)
def test_a_broken_line_says_what_is_wrong_with_it(
    tmp_path: Path, text: str, code: str, param: str | None
) -> None:
    error = error_of(tmp_path, text)
    assert (error.code, error.param) == (code, param)


def test_bytes_that_are_no_utf8_are_a_broken_line(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(openai_line().encode() + b"\n" + openai_line().encode("utf-16") + b"\n")
    assert lines_of(file)[1].error[0] == "invalid_json_line"  # type: ignore[index]


def test_a_bom_is_accepted_and_blank_lines_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(f"\ufeff{openai_line()}\r\n\n  \t\n{openai_line('b')}", encoding="utf-8")
    assert [(x.number, x.custom_id) for x in lines_of(file)] == [(1, "a"), (4, "b")]


def test_a_line_that_is_too_long_does_not_hide_the_next_one(tmp_path: Path) -> None:
    fits = openai_line("c" * 10)
    fits += " " * (MAX_LINE_BYTES - len(fits.encode()))
    too_long = "x" * (MAX_LINE_BYTES + 1)
    file = write_lines(tmp_path / "in.jsonl", [openai_line(), too_long, fits, openai_line("d")])
    lines = lines_of(file)
    assert [x.error and x.error.code for x in lines] == [None, "invalid_request", None, None]
    assert "line too long" in lines[1].error.message  # type: ignore[union-attr]
    assert [x.number for x in opened(file).lines(3)] == [3, 4]


def test_completions_take_one_text(tmp_path: Path) -> None:
    url = "/v1/completions"
    prompts: list[Any] = ["Ngày xưa", ["Ngày nay"], ["a", "b"], [1, 2], None]
    texts = [openai_line(str(n), url, prompt=p) for n, p in enumerate(prompts)]
    source = opened(write_lines(tmp_path / "in.jsonl", texts))
    lines = list(source.lines())
    assert source.endpoint == url
    assert [x.request and x.request.text for x in lines[:2]] == ["Ngày xưa", "Ngày nay"]
    assert lines[0].request.kind is RequestKind.COMPLETION  # type: ignore[union-attr]
    assert [x.error and x.error.param for x in lines[2:]] == ["prompt"] * 3


def test_embeddings_take_one_text_or_several(tmp_path: Path) -> None:
    url = "/v1/embeddings"
    inputs: list[Any] = ["sông", ["sông", "biển"], [], [""], [1]]
    texts = [openai_line(str(n), url, input=p) for n, p in enumerate(inputs)]
    lines = lines_of(write_lines(tmp_path / "in.jsonl", texts))
    kinds = [x.request and (x.request.kind, x.request.text) for x in lines[:2]]
    assert kinds == [(RequestKind.EMBEDDING, "sông"), (RequestKind.EMBEDDING, "sông\nbiển")]
    assert [x.error and x.error.param for x in lines[2:]] == ["input"] * 3


def test_the_endpoint_is_that_of_the_first_line_with_a_good_url(tmp_path: Path) -> None:
    texts = ["{", openai_line(url="/v1/other"), openai_line("e", "/v1/embeddings", input="sông")]
    file = write_lines(tmp_path / "in.jsonl", [*texts, openai_line("c")])
    source = opened(file, format="openai")
    codes = [x.error and x.error.code for x in source.lines()]
    assert codes == ["invalid_json_line", "url_mismatch", None, "url_mismatch"]
    assert [x.error and x.error.code for x in source.lines(3)] == codes[2:]
    assert opened(file, format="openai", endpoint="/v1/chat/completions").endpoint == CHAT


def test_options_hold_where_a_line_says_nothing(tmp_path: Path) -> None:
    schema = {"type": "json_object"}
    options: dict[str, Any] = {
        "tier": "medium", "tenant": "acme", "workflow": "night", "cache": False,
        "sampling": {"max_tokens": 9}, "response_format": schema,
    }  # fmt: skip
    request = line_of(tmp_path, openai_line(), **options).request
    assert request is not None
    assert (request.tier, request.tenant, request.workflow) == ("medium", "acme", "night")
    assert (request.cache, request.sampling.max_tokens) == (False, 9)
    assert request.response_format is not None
    assert request.response_format.model_dump() == schema
    body = {"model": "small", "max_tokens": 3, "response_format": {"type": "text"}}
    own = line_of(tmp_path, openai_line(**body), **options).request
    assert own is not None
    assert (own.tier, own.sampling.max_tokens, own.response_format) == ("small", 3, None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
_NAMES = ["messages", "model", "max_tokens", "stop", "n", "metadata", "user", "penstock", "tools"]
_KEYS = st.sampled_from([*_NAMES, "response_format", "seed"]) | st.text(max_size=3)
_BODIES = st.dictionaries(_KEYS, _JSON)


def read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> list[Line]:
    file = tmp_path_factory.getbasetemp() / "random.jsonl"
    file.write_bytes(content)
    maker = Maker(ReadOptions(), SETTINGS)
    return list(OpenAIFile(InputFile(file), maker, Models(SETTINGS), None).lines())


@given(content=st.binary(max_size=300))
def test_random_bytes_never_raise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    assume(not content.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")))
    lines = read(tmp_path_factory, content)
    assert all(line.request is None and line.error for line in lines)


@given(bodies=st.lists(_BODIES, max_size=4))
def test_random_bodies_give_a_request_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[dict[str, Any]]
) -> None:
    content = "".join(
        json.dumps({"custom_id": "a", "method": "POST", "url": CHAT, "body": body}) + "\n"
        for body in bodies
    )
    lines = read(tmp_path_factory, content.encode())
    assert len(lines) == len(bodies)
    for line in lines:
        assert (line.request is None) == (line.error is not None)
        assert all(text.isprintable() for text in line.error or () if text)
