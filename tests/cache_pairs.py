"""Labelled pairs with cosines and verdicts of the test's choice."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock_shared.request import Request
from penstock_workers.cache.evaluating.judging import Judged
from penstock_workers.cache.evaluating.pairs import Pair


class ScriptedEncoder:
    """Question ``q<degrees>...`` becomes the vector at this angle; counts what it encodes."""

    name = "scripted"

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, questions: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += questions
        angles = np.radians([float(question.split()[0][1:]) for question in questions])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


class Watch:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def expect(self, name: str, total: int, done: int) -> None:
        self.told.append((name, total, done))


class Word(NamedTuple):
    """A verdict."""

    same: bool
    reason: str


def by_last_word(asked: str, stored: str) -> Word:
    """A verifier for which questions with the same last word are the same."""
    one, other = asked.rsplit(maxsplit=1)[-1], stored.rsplit(maxsplit=1)[-1]
    return Word(one == other, "same last word" if one == other else f"differ in {one}, {other}")


def a_judged(
    similarity: float | None,
    *,
    same: bool = True,
    accepted: bool = True,
    kind: str | None = None,
    reason: str = "because",
    line: int = 1,
) -> Judged:
    asked = Request.build("q")
    pair = Pair(line, asked, asked, ("one", "other"), same, kind, None)
    return Judged(pair, similarity, accepted, reason)
