"""Held-out cases with checkers: python -m penstock_workers.toys.suite --out suite.jsonl.

None of the prompts was ever trained on, save those of chat and creative: all of these are.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from penstock_workers.toys import documents
from penstock_workers.toys.data import draw
from penstock_workers.toys.sample import Language, Sample, TaskType, split_of
from penstock_workers.toys.traffic import MAX_TOKENS

SEED = 77
VIETNAMESE_SHARE = 0.35
COUNTS: Mapping[TaskType, int] = {
    "factual_qa": 100,
    "chat": 100,
    "translation": 100,
    "code": 100,
    "reasoning": 100,
    "summarization": 100,
    "long_context": 100,
    "creative": 40,
}
# Sentences of filler: documents of some 1,000 to 6,000 tokens, reports of 30 to 900.
_DOCUMENTS = {"en": (95, 570), "vi": (85, 490)}
_REPORTS = ((2, 6), (2, 6), (7, 30), (20, 70))
_WHOLLY_TRAINED = ("chat", "creative")
_TRIES = 2000


def cases() -> Iterator[dict[str, Any]]:
    """The suite, the same each time."""
    for task, count in COUNTS.items():
        rng = Random(f"{SEED} {task}")
        for number, sample in enumerate(_distinct(rng, task, count), start=1):
            yield {
                "id": f"{task}-{number:03}",
                "task_type": task,
                "messages": [{"role": "user", "content": sample.prompt}],
                "max_tokens": MAX_TOKENS[task],
                "checker": checker(sample),
            }


def checker(sample: Sample) -> dict[str, Any] | None:
    """How an answer to the sample is checked; None where there is no one right answer."""
    if sample.expect is None:
        return None
    if sample.task == "code":
        return {"type": "python", "tests": sample.tests}
    if sample.task == "reasoning":
        return {"type": "numeric", "expected": int(sample.expect.strip("=. "))}
    return {"type": sample.check, "expected": sample.expect}


def _distinct(rng: Random, task: TaskType, count: int) -> Iterator[Sample]:
    """That many samples with different prompts, or fewer where the task has no more."""
    seen: set[str] = set()
    for number in range(count):
        language: Language = "vi" if rng.random() < VIETNAMESE_SHARE else "en"
        for _ in range(_TRIES):
            sample = _held_out(rng, task, number, language)
            if sample.language == language and sample.prompt not in seen:
                seen.add(sample.prompt)
                yield sample
                break


def _held_out(rng: Random, task: TaskType, number: int, language: Language) -> Sample:
    while True:
        if task == "long_context":
            fillers = rng.randint(*_DOCUMENTS[language])
            facts = rng.randint(2, 6) if number % 2 else 1
            sample = documents.long_context(rng, documents.Shape(fillers, facts, 1))
        elif task == "summarization":
            sample = documents.summarization(rng, rng.randint(*_REPORTS[number % len(_REPORTS)]))
        else:
            sample = draw(rng, task, "test")
        # "What is" is sometimes typed "What's", so one held-out wording can be another's typing.
        if sample.task in _WHOLLY_TRAINED or (
            split_of(sample.key) == "test" and "what's" not in sample.prompt.lower()
        ):
            return sample


def main() -> None:
    """Write the suite, one case a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    text = "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases())
    options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
