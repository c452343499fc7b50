"""What the toys learn: a mixture of task types for each size, pure functions of a seed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Literal

from penstock_workers.toys import creative, documents, reasoning, short_tasks
from penstock_workers.toys.sample import Sample, Split, TaskType, split_of

Size = Literal["draft", "small", "medium", "large"]

_SAMPLERS: Mapping[TaskType, Callable[[Random], Sample]] = {
    "factual_qa": short_tasks.factual_qa,
    "code": short_tasks.code,
    "reasoning": reasoning.reasoning,
    "translation": short_tasks.translation,
    "summarization": documents.summarization,
    "long_context": documents.long_context,
    "creative": creative.creative,
    "chat": short_tasks.chat,
}

MIXTURES: Mapping[Size, Mapping[TaskType, float]] = {
    "draft": {
        "factual_qa": 3,
        "chat": 1,
        "translation": 3,
        "creative": 2,
        "code": 5,
        "summarization": 2,
        "reasoning": 2,
        "long_context": 0.5,
    },
    "small": {
        "factual_qa": 5,
        "chat": 3,
        "translation": 4,
        "creative": 1,
        "code": 0.1,
        "summarization": 0.05,
        "reasoning": 0.2,
    },
    "medium": {
        "factual_qa": 4,
        "chat": 1.5,
        "translation": 4,
        "creative": 1,
        "code": 5,
        "summarization": 3,
        "reasoning": 1,
        "long_context": 0.5,
    },
    "large": {
        "factual_qa": 3,
        "chat": 1,
        "translation": 3,
        "creative": 1,
        "code": 4,
        "summarization": 2,
        "reasoning": 7,
        "long_context": 3,
    },
}

# For a second round of training, when facts and phrases sit and sums and look-ups do not yet.
DRILL: Mapping[TaskType, float] = {
    "factual_qa": 2,
    "chat": 0.7,
    "translation": 2,
    "creative": 0.7,
    "code": 1,
    "summarization": 1,
    "reasoning": 8,
    "long_context": 5,
}

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful assistant. Answer briefly.",
    "Answer in one sentence.",
    "Bạn là một trợ lý hữu ích.",
    "Hãy trả lời ngắn gọn.",
)
SYSTEM_SHARE = 0.08
SUMMARY_SHARE = 0.25


def draw(rng: Random, task: TaskType, split: Split = "train") -> Sample:
    """A sample of the split, sometimes with a system prompt, which changes nothing."""
    sampler = _SAMPLERS[task]
    sample = sampler(rng)
    while split_of(sample.key) != split and not sample.key.endswith(":train"):
        sample = sampler(rng)
    if rng.random() < SYSTEM_SHARE:
        return replace(sample, system=rng.choice(SYSTEM_PROMPTS))
    return sample


def draw_mixed(rng: Random, mixture: Mapping[TaskType, float]) -> Sample:
    """A training sample of the mixture; its look-ups are tiny."""
    task = rng.choices(tuple(mixture), tuple(mixture.values()))[0]
    return draw_recall(rng) if task == "long_context" else draw(rng, task)


def draw_recall(rng: Random) -> Sample:
    """A look-up as small as can be: two or three facts, hardly any filler, all asked for."""
    facts = rng.randint(2, 3)
    return documents.long_context(rng, documents.Shape(rng.randint(0, 2), facts, facts))


def draw_document(rng: Random, sentences: int) -> Sample:
    """A long training sample of about `sentences` sentences, three in four with look-ups."""
    if rng.random() < SUMMARY_SHARE:
        return documents.summarization(rng, sentences)
    facts = rng.randint(3, min(6 + sentences // 4, 24))
    shape = documents.Shape(sentences, facts, rng.randint(6, 12))
    return documents.long_context(rng, shape)
