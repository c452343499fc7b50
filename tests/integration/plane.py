"""A world of questions whose likeness is written into them, and a verifier that believes them."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from penstock_workers.cache.verifier import Verdict

_REWORDED: Final = re.compile(r"(.*) at (0\.\d+)")


class PlaneEncoder:
    """``X at 0.85`` is X in other words, of cosine 0.85; everything else has nothing in common."""

    name = identity = "plane"
    dimension = 1024

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def encode(self, questions: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._vector(question) for question in questions])

    def _vector(self, question: str) -> NDArray[np.float32]:
        vector = np.zeros(self.dimension, dtype=np.float32)
        reworded = _REWORDED.fullmatch(question)
        subject, cosine = (reworded[1], float(reworded[2])) if reworded else (question, 1.0)
        vector[self._place(subject)] = cosine
        vector[self._place(question)] += (1 - cosine**2) ** 0.5
        return vector

    def _place(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))


def verify(asked: str, stored: str) -> Verdict:
    """``X, exactly`` has the words of X; words that are refused contain wrong."""
    if "wrong" in asked:
        return Verdict(same=False, reason="differ in wrong")
    return Verdict(same=True, reason="so it was said", proof="exactly" in asked)
