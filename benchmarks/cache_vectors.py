"""Entries and questions of a cache, as vectors: spread and clustered as real questions are.

A few thousand questions are really embedded. Entries are these, each moved by a share of the
difference of two others, so that any number of them lies where embeddings of questions lie.
"""

import random
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock_workers.encoder import Encoder

Vectors = NDArray[np.float32]

_TEMPLATES: Final = (
    "What is the capital of {place}?",
    "How many people live in {place}?",
    "How do I get a visa for {place}?",
    "How long does shipping a {thing} to {place} take?",
    "What does the warranty of a {thing} cover?",
    "My {thing} arrived damaged on {number} May, what can I do?",
    "Is a {thing} worth {number} dollars?",
    "Compare a {thing} with a {other}",
    "Classify the sentiment: I love this {thing}",
    "Cancel order {number}, please",
    "What is {number} percent of 80?",
    "Convert {number} kilometres into miles",
    "Write a Python function that {task}",
    "Write a SQL query that {task}",
    "Why is my code slow when it {task}?",
    "Explain {subject} to a child",
    "What are the main ideas of {subject}?",
    "Which books about {subject} should I read first?",
    "How is {subject} used to make a {thing}?",
    "Extract the date: the talk about {subject} is on {number} June",
)
_FILLINGS: Final = {
    "place": ("France", "Peru", "Egypt", "Vietnam", "Japan", "Brazil", "Norway", "Kenya", "India"),
    "thing": ("bicycle", "laptop", "kettle", "guitar", "camera", "drill", "sofa", "printer"),
    "other": ("tent", "watch", "piano", "drone", "tablet", "lamp", "heater", "mirror", "carpet"),
    "task": ("reverses a list", "parses a date", "merges two tables", "removes duplicates"),
    "subject": ("inflation", "evolution", "opera", "chess", "relativity", "jazz", "topology"),
}
_BASE: Final = 3_000
_FAR: Final = 1.0  # entries: the largest share of a difference
_NEAR: Final = 0.18  # questions: so near an entry that a cosine of 0.95 to 0.999 is left
_PAGE: Final = 50_000


class World(NamedTuple):
    """Entries (n, dimension) and questions near some of them (m, dimension), of length 1."""

    entries: Vectors
    questions: Vectors


def make_questions(count: int) -> list[str]:
    """Short questions as services get them; the same for every call."""
    draw = random.Random(1)
    return [
        _TEMPLATES[number % len(_TEMPLATES)].format(
            number=draw.randint(2, 9_999),
            **{name: draw.choice(words) for name, words in _FILLINGS.items()},
        )
        for number in range(count)
    ]


def embed_base(encoder: Encoder, count: int = _BASE) -> Vectors:
    """Vectors of distinct real questions, shape (at most count, dimension)."""
    return encoder.encode(sorted(set(make_questions(count))))


def make_world(base: Vectors, entries: int, questions: int) -> World:
    """``entries`` moved copies of the base, and ``questions`` that are near one of them each."""
    draw = np.random.default_rng(entries)
    held = np.empty((entries, base.shape[1]), dtype=np.float32)
    for start in range(0, entries, _PAGE):
        page = held[start : start + _PAGE]
        page[:] = _moved(base[draw.integers(0, len(base), len(page))], base, _FAR, draw)
    asked = held[draw.integers(0, entries, questions)]
    return World(held, _moved(asked, base, _NEAR, draw))


def batches(questions: Vectors, size: int) -> Sequence[Vectors]:
    """The questions in batches of ``size``; the last may be shorter."""
    return [questions[start : start + size] for start in range(0, len(questions), size)]


def _moved(start: Vectors, base: Vectors, share: float, draw: np.random.Generator) -> Vectors:
    count = len(start)
    some, others = (base[draw.integers(0, len(base), count)] for _ in range(2))
    moved = start + draw.uniform(0, share, (count, 1)).astype(np.float32) * (some - others)
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    vectors: Vectors = (moved / lengths).astype(np.float32)
    return vectors
