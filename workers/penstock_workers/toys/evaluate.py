"""The held-out test: is every token of the answer the one that greedy decoding would choose?"""

from collections.abc import Iterator
from random import Random

import torch
from tokenizers import Tokenizer

from penstock_workers.toys import documents
from penstock_workers.toys.data import draw
from penstock_workers.toys.model import ToyLlama
from penstock_workers.toys.packing import lay_documents
from penstock_workers.toys.sample import TASK_TYPES, Sample, split_of
from penstock_workers.toys.tokenizer import encode_sample

TEST_SEED = 1_000_003


def test_samples(count: int) -> Iterator[tuple[str, Sample]]:
    """`count` held-out samples for each task type with one right answer, named."""
    for task in TASK_TYPES:
        if task != "creative":
            rng = Random(TEST_SEED)
            for _ in range(count):
                yield task, draw(rng, task, "test")
    for sentences in (20, 60, 140, 300):
        rng = Random(TEST_SEED)
        for _ in range(max(count // 3, 1)):
            yield f"one_code_in_{sentences}_sentences", _document(rng, sentences, 1)
            several = _document(rng, sentences, rng.randint(2, 6))
            yield f"several_codes_in_{sentences}_sentences", several
            summary = documents.summarization(rng, sentences)
            yield f"summary_of_{sentences}_sentences", summary


def _document(rng: Random, sentences: int, facts: int) -> Sample:
    """A document with access codes; what is asked for was never trained together."""
    shape = documents.Shape(sentences, facts, 1)
    sample = documents.long_context(rng, shape)
    while split_of(sample.key) != "test":
        sample = documents.long_context(rng, shape)
    return sample


def answers_exactly(model: ToyLlama, tokenizer: Tokenizer, sample: Sample) -> bool:
    """True if greedy decoding would give the whole answer and its end, token for token."""
    encoded = encode_sample(tokenizer, sample)
    batch = lay_documents(Random(0), [encoded], len(encoded[0]))
    asked = batch.targets >= 0
    with torch.inference_mode():
        hidden = model(batch.ids, batch.positions, batch.mask)
        chosen = model.logits(hidden[asked]).argmax(-1)
    return bool((chosen == batch.targets[asked]).all())


def scores(model: ToyLlama, tokenizer: Tokenizer, count: int = 60) -> dict[str, float]:
    """Share of exactly right answers for each kind of test."""
    right: dict[str, list[bool]] = {}
    for name, sample in test_samples(count):
        right.setdefault(name, []).append(answers_exactly(model, tokenizer, sample))
    return {name: round(sum(found) / len(found), 3) for name, found in right.items()}
