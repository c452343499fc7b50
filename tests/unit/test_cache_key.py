"""Nothing that differs in any one part of a key can meet in the cache."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_shared.request import Request, Sampling
from penstock_workers.cache.key import CacheKey, key_of

IDENTITY = {"model": "m", "revision": "r", "quantization": None, "dtype": "auto"}
OTHER_SAMPLING: dict[str, Any] = {
    "max_tokens": 128,
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.1,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "repetition_penalty": 1.2,
    "seed": 7,
    "stop": ["END"],
    "ignore_eos": True,
    "min_tokens": 1,
}

OTHER_SPECIAL: dict[str, Any] = {
    "kind": "completion",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object"}},
    },
}

# Words that survive normalization as they are.
words = st.text(st.characters(categories=["Ll", "Lu", "Nd"], max_codepoint=0x24F), min_size=1)
sentences = st.lists(words, min_size=1).map(" ".join).filter(str.strip)


def key(question: str = "What is a dam?", *, identity: Any = None, **fields: Any) -> CacheKey:
    return key_of(Request.build(question, **fields), identity or IDENTITY)


def chat(*contents: str, first: str = "user") -> CacheKey:
    other = {"user": "assistant", "assistant": "user", "system": "user"}[first]
    roles = [first, *(other if n % 2 == 0 else "user" for n in range(len(contents) - 2)), "user"]
    messages = [{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)]
    return key_of(Request.build(messages), IDENTITY)


def test_every_sampling_parameter_has_a_case_here() -> None:
    assert set(OTHER_SAMPLING) == set(Sampling.model_fields)


@pytest.mark.parametrize("name", OTHER_SAMPLING)
def test_a_change_of_any_sampling_parameter_changes_the_partition(name: str) -> None:
    assert key(**{name: OTHER_SAMPLING[name]}).partition != key().partition


@pytest.mark.parametrize("name", IDENTITY)
def test_a_change_of_any_part_of_the_models_identity_changes_the_partition(name: str) -> None:
    assert key(identity={**IDENTITY, name: "other"}).partition != key().partition


@given(words, words)
def test_two_tenants_meet_only_if_they_are_the_same(mine: str, yours: str) -> None:
    same = key(tenant=mine).partition == key(tenant=yours).partition
    assert same == (mine == yours)


@given(sentences, sentences)
def test_a_system_prompt_changes_the_partition(mine: str, yours: str) -> None:
    same = chat(mine, "Hi", first="system").partition == chat(yours, "Hi", first="system").partition
    assert same == (mine.split() == yours.split())
    assert chat(mine, "Hi", first="system").partition != key("Hi").partition


@given(sentences, sentences, sentences)
def test_an_earlier_turn_changes_the_partition(turn: str, reply: str, other: str) -> None:
    mine = chat(turn, reply, "Go on")
    assert (mine.partition == chat(turn, other, "Go on").partition) == (
        reply.split() == other.split()
    )
    assert (mine.partition == chat(other, reply, "Go on").partition) == (
        turn.split() == other.split()
    )


def test_the_role_of_an_earlier_turn_changes_the_partition() -> None:
    assert chat("Be brief", "Hi", first="system") != chat("Be brief", "Hi", first="user")


def test_the_border_between_turns_changes_the_partition() -> None:
    assert chat("a b", "c", "Hi").partition != chat("a", "b c", "Hi").partition


@given(sentences)
def test_the_question_changes_the_key_and_not_the_partition(question: str) -> None:
    mine, other = key(question), key(f"{question} more")
    assert mine.partition == other.partition
    assert mine.key != other.key


@given(st.lists(words, min_size=1), st.data())
def test_the_amount_of_blanks_between_words_does_not_change_the_key(
    parts: list[str], data: st.DataObject
) -> None:
    blanks = st.text(st.sampled_from(" \t"), min_size=1, max_size=4)
    spread = "".join(data.draw(blanks) + part for part in parts) + data.draw(blanks)
    assert key(spread) == key(" ".join(parts))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is NaN?", "What is nan?"),
        ("if a:\n    b\n    c", "if a:\n    b\nc"),
        ("one\ntwo", "one two"),
        ("len('a  b')", "len('a b')"),
        ('How long is "a  b"?', 'How long is "a b"?'),
        ("```\na  b\n```", "```\na b\n```"),
    ],
)
def test_letter_case_lines_indentation_and_quoted_blanks_change_the_key(
    one: str, other: str
) -> None:
    assert key(one).key != key(other).key


def test_two_ways_to_write_the_same_letter_are_one_question() -> None:
    assert key("Đập là gi\u0300?") == key("Đập là gì?")


def test_tenant_and_question_cannot_be_traded_for_each_other() -> None:
    assert key("b", tenant="a").key != key("a", tenant="b").key


@pytest.mark.parametrize("name", OTHER_SPECIAL)
def test_another_kind_or_form_of_answer_changes_the_partition(name: str) -> None:
    assert key(**{name: OTHER_SPECIAL[name]}).partition != key().partition


def test_the_order_of_a_schemas_properties_changes_the_partition() -> None:
    def of(*names: str) -> CacheKey:
        schema = {"properties": {name: {} for name in names}}
        named = {"name": "x", "schema": schema}
        return key(response_format={"type": "json_schema", "json_schema": named})

    assert of("a", "b").partition == of("a", "b").partition
    assert of("a", "b").partition != of("b", "a").partition


def test_the_key_of_a_plain_chat_is_that_of_entries_in_the_ledger() -> None:
    known = key("What is a dam?", identity={"model": "m"})
    assert known.partition == "4eefe46249a0d8fd122b53ea266306b2d2d203d860777570c9f2a5e2c136494e"
    assert known.key == "8653a7596e63ef2272f5694325746a73d86620968d429dad8cf5eb44535547c9"


def test_the_text_of_a_completion_counts_to_the_letter() -> None:
    assert key("The capital is ").key == key("The capital is").key
    one, other = (key(text, kind="completion") for text in ("The capital is ", "The capital is"))
    assert one.partition == other.partition
    assert one.key != other.key
