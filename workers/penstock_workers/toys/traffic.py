"""The demo's traffic: python -m penstock_workers.toys.traffic --out prompts.jsonl."""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

from penstock_workers.toys import documents
from penstock_workers.toys.data import SYSTEM_PROMPTS, draw
from penstock_workers.toys.reword import vary
from penstock_workers.toys.sample import Language, Sample, TaskType, Turn

SEED = 2026
VIETNAMESE_SHARE = 0.3
SYSTEM_SHARE = 0.06
_COUNTS: Mapping[TaskType, int] = {
    "factual_qa": 96,
    "chat": 38,
    "translation": 38,
    "code": 38,
    "reasoning": 32,
    "summarization": 32,
    "long_context": 22,
    "creative": 24,
}
_REPEATED_SHARE, _REWORDED_SHARE = 0.2, 0.12
MAX_TOKENS: Mapping[TaskType, int] = {
    "factual_qa": 48,
    "chat": 48,
    "translation": 48,
    "code": 160,
    "reasoning": 64,
    "summarization": 64,
    "long_context": 48,
    "creative": 128,
}
# Sentences of filler, one number for each new document or long text to sum up.
_DOCUMENTS = (20, 24, 30, 36, 40, 48, 60, 72, 80, 100, 140, 190, 230, 260, 330)
# Access codes in a document, by turns.
_CODES = (1, 3, 2, 5)
_LONG_TEXTS = (30, 60, 190, 240, 320)


def fresh(rng: Random, task: TaskType, number: int) -> Sample:
    """The task's sample of that number, not related to any other; some have a system prompt."""
    language: Language = "vi" if rng.random() < VIETNAMESE_SHARE else "en"
    sample = _of_length(rng, task, number)
    while sample.language != language:
        sample = _of_length(rng, task, number)
    system = rng.choice(SYSTEM_PROMPTS) if rng.random() < SYSTEM_SHARE else None
    return replace(sample, system=system)


def _of_length(rng: Random, task: TaskType, number: int) -> Sample:
    if task == "long_context":
        fillers = _DOCUMENTS[number % len(_DOCUMENTS)]
        codes = _CODES[number % len(_CODES)]
        return documents.long_context(rng, documents.Shape(fillers, codes, 1))
    if task == "summarization" and number < len(_LONG_TEXTS):
        return documents.summarization(rng, _LONG_TEXTS[number])
    return draw(rng, task)


def reworded(rng: Random, sample: Sample) -> Sample:
    """The same request in other words: another wording with the same answer, else other typing."""
    if sample.task in ("factual_qa", "code", "translation", "chat"):
        for _ in range(4000):
            other = draw(rng, sample.task)
            same = (other.language, other.answer) == (sample.language, sample.answer)
            if same and other.prompt != sample.prompt:
                return replace(other, system=sample.system)
    prompt = sample.prompt
    while prompt == sample.prompt:
        prompt = vary(rng, sample.prompt, sample.language)
    return replace(sample, turns=(Turn(prompt, sample.answer),))


def traffic(seed: int = SEED) -> list[Sample]:
    """All requests in order of arrival; repeats and rewordings come after what they repeat."""
    rng = Random(seed)
    originals: list[Sample] = []
    copies: list[tuple[Sample, Sample]] = []
    for task, count in _COUNTS.items():
        repeats, rewordings = round(count * _REPEATED_SHARE), round(count * _REWORDED_SHARE)
        new = [fresh(rng, task, i) for i in range(count - repeats - rewordings)]
        originals += new
        copies += [(item, item) for item in rng.choices(new, k=repeats)]
        copies += [(item, reworded(rng, item)) for item in rng.choices(new, k=rewordings)]
    rng.shuffle(originals)
    rng.shuffle(copies)
    arrived = list(originals)
    for original, copy in copies:
        first = next(i for i, item in enumerate(arrived) if item is original)
        arrived.insert(rng.randint(first + 1, len(arrived)), copy)
    return arrived


def lines(samples: list[Sample]) -> Iterator[str]:
    """One JSON object a line; `task_type`, `expect` and `check` are for scoring only."""
    for number, sample in enumerate(samples, start=1):
        messages = [{"role": "user", "content": sample.prompt}]
        if sample.system:
            messages.insert(0, {"role": "system", "content": sample.system})
        line = {
            "id": f"d{number:03}",
            "messages": messages,
            "max_tokens": MAX_TOKENS[sample.task],
            "task_type": sample.task,
            "expect": sample.expect,
            "check": sample.check,
            "language": sample.language,
        }
        yield json.dumps(line, ensure_ascii=False)


def main() -> None:
    """Write the demo's prompts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.write_text("\n".join(lines(traffic())) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
