"""The script of the drill: everyone can tell from a prompt what has to come of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_workers.drill import script
from penstock_workers.drill.script import ScriptTokenizer

tokenizer = ScriptTokenizer()


@given(st.integers(0, 2_000))
def test_an_answer_has_as_many_words_as_were_asked_for(count: int) -> None:
    prompt = f"drill 000007 tokens={count}"
    assert script.tokens_of(prompt) == count
    assert len(script.answer_ids(prompt)) == len(script.answer_of(prompt).split()) == count


def test_an_answer_depends_on_the_whole_prompt_and_on_nothing_else() -> None:
    answers = {script.answer_of(f"drill {number:06d} tokens=8") for number in range(100)}
    assert len(answers) == 100
    assert script.answer_of("drill 000001 tokens=3") == "3efd f067 96e1"


def test_poison_and_refusal_are_words_of_the_prompt() -> None:
    plain = "drill 000001 tokens=9"
    assert not script.is_poison(plain)
    assert not script.is_refused(plain)
    assert script.is_poison(f"{plain} poison")
    assert script.is_refused(f"{plain} refused")
    assert not script.is_poison(f"{plain} poisoned")


def test_a_prompt_that_does_not_say_its_length_is_none_of_ours() -> None:
    with pytest.raises(ValueError, match="tokens=40"):
        script.tokens_of("What is a dam?")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_the_engine_reads_the_prompt_that_was_encoded(text: str) -> None:
    assert script.prompt_of(tokenizer.encode(text)) == text


def test_a_part_of_an_answer_can_be_decoded() -> None:
    prompt = "drill 000001 tokens=5"
    some = script.answer_ids(prompt)[:2]
    text = tokenizer.decode(some, skip_special_tokens=True)
    assert text.split() == script.answer_of(prompt).split()[:2]
    assert tokenizer.decode([], skip_special_tokens=True) == ""
