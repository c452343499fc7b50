"""The toys' held-out suite: what it promises of its cases."""

import json
from collections import Counter
from random import Random

from penstock_workers.toys.data import draw
from penstock_workers.toys.sample import Sample, Turn
from penstock_workers.toys.suite import COUNTS, cases, checker


def test_the_suite_is_the_same_each_time_and_repeats_no_prompt() -> None:
    made = list(cases())
    assert made == list(cases())
    assert len({json.dumps(case["messages"]) for case in made}) == len(made)
    assert Counter(case["task_type"] for case in made) == COUNTS


def test_no_case_but_of_chat_and_creative_is_trained_on() -> None:
    asked = {case["messages"][0]["content"] for case in cases()}
    rng = Random(3)
    for task in ("factual_qa", "code", "reasoning", "translation", "summarization"):
        trained = {draw(rng, task).prompt for _ in range(4000)}
        assert not asked & trained


def test_a_document_holds_its_code_once() -> None:
    documents = [case for case in cases() if case["task_type"] == "long_context"]
    for case in documents:
        assert case["messages"][0]["content"].count(case["checker"]["expected"]) == 1


def test_a_sum_is_checked_by_its_result_and_a_story_not_at_all() -> None:
    def a_sample(**given: str) -> Sample:
        return Sample("reasoning", "en", (Turn("1 + 2?", "1 + 2 = 3."),), "1+2", **given)

    assert checker(a_sample(expect="= 3.", check="contains")) == {
        "type": "numeric",
        "expected": 3,
    }
    assert checker(a_sample()) is None
