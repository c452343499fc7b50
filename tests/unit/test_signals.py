"""The signals of a prompt, in English and Vietnamese."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_shared import signals
from penstock_shared.request import Request
from penstock_shared.signals import Signals, read_signals
from penstock_shared.words import TaskType


def signals_of(prompt: str, **fields: object) -> Signals:
    request = Request.build(prompt, **fields)  # type: ignore[arg-type]
    return read_signals(request, bytes_per_token=3.0, long_context_tokens=400)


@pytest.mark.parametrize(
    ("prompt", "task_type"),
    [
        ("Who wrote Dune?", TaskType.FACTUAL_QA),
        ("Thủ đô của Việt Nam là gì?", TaskType.FACTUAL_QA),
        ("Translate to French: good day", TaskType.TRANSLATION),
        ("Dịch sang tiếng Anh: buổi sáng", TaskType.TRANSLATION),
        ("Summarize the report below.", TaskType.SUMMARIZATION),
        ("Tóm tắt đoạn văn sau.", TaskType.SUMMARIZATION),
        ("Write a Python function that adds.", TaskType.CODE),
        ("What does this print?\n```\nprint(1)\n```", TaskType.CODE),
        ("Viết một hàm cộng dãy số.", TaskType.CODE),
        ("Write a haiku on rain.", TaskType.CREATIVE),
        ("Viết một bài thơ về mưa.", TaskType.CREATIVE),
        ("Hello there!", TaskType.CHAT),
        ("Hi, which continent is Egypt in?", TaskType.FACTUAL_QA),
        ("I'm so tired today", TaskType.CHAT),
        ("Bạn tên là gì?", TaskType.CHAT),
        ("Xin chào, thủ đô của Pháp là gì?", TaskType.FACTUAL_QA),
        ("Prove that the sum is even.", TaskType.REASONING),
        ("Chứng minh rằng tổng là số chẵn.", TaskType.REASONING),
        ("Hello, how are you?", TaskType.CHAT),
        ("Xin chào bạn!", TaskType.CHAT),
        ("water " * 300, TaskType.LONG_CONTEXT),
    ],
)
def test_the_task_type_is_read_from_the_words(prompt: str, task_type: TaskType) -> None:
    assert signals_of(prompt).task_type is task_type


@pytest.mark.parametrize(
    ("prompt", "kinds"),
    [
        ("Who wrote Dune?", 0),
        ("What is 17 * 4?", 1),
        ("Tính 17 nhân 4.", 2),
        ("Prove it step by step.", 2),
        ("Compute how many of the 12 apples are left, step by step.", 3),
        ("So sánh hai cách, từng bước.", 2),
    ],
)
def test_each_kind_of_reasoning_signal_counts_once(prompt: str, kinds: int) -> None:
    assert signals_of(prompt).reasoning == kinds


def test_a_task_type_that_the_caller_names_is_taken_as_it_is() -> None:
    assert signals_of("Translate this.", task_type="code").task_type is TaskType.CODE


def test_the_instruction_may_stand_behind_long_material() -> None:
    material = "The river was wide and slow. " * 100
    assert signals_of(f"{material}\nSummarize this text.").task_type is TaskType.SUMMARIZATION


def test_what_stands_in_the_middle_of_long_material_is_no_instruction() -> None:
    material = "The river was wide and slow. " * 20
    prompt = f"{material} Somebody should write a poem. {material}"
    assert signals_of(prompt).task_type is not TaskType.CREATIVE


def test_tokens_are_estimated_from_utf8_bytes_and_rounded_up() -> None:
    assert signals_of("abcd").prompt_tokens == 2
    assert signals_of("đđ").prompt_tokens == 2


def test_words_and_tokens_count_every_message() -> None:
    request = Request.build(
        [{"role": "system", "content": "one two"}, {"role": "user", "content": "three"}]
    )
    found = read_signals(request, bytes_per_token=1.0, long_context_tokens=400)
    assert (found.words, found.prompt_tokens) == (3, len("one two\nthree"))


_CLUES = [clue for _, clue in signals._TASK_CLUES] + list(signals._REASONING)
_WORDS = st.sampled_from(
    [word for clue in _CLUES for word in clue.pieces]
    + ["how much", "kể chuyện", "viết một hàm", "def f(", "write", "nếu", "if", "one", "in one"]
    + ["sentence", "translation", "summarise", "tóm tắt", "by", "step-by-step", "tl;dr", "7", " "]
    + ["İf", "ſtep", "ıf", "K", "THEN", "fairytale", "từng bước", "in a single sentence"]
)


@given(st.lists(_WORDS | st.text(max_size=4), max_size=12).map(" ".join), st.booleans())
def test_a_text_without_its_pieces_never_matches_a_pattern(text: str, is_loud: bool) -> None:
    text = text.upper() if is_loud else text
    folded = signals._folded(text)
    for clue in _CLUES:
        assert clue.shows(text, folded) == bool(clue.pattern.search(text))
