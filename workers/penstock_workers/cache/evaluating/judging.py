"""What the cache makes of each pair: its cosine, and what the verifier says."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock_workers.cache.evaluating.pairs import Pair
from penstock_workers.cache.key import CacheKey, key_of

ENCODING: Final = "encoding"
VERIFYING: Final = "verifying"
OTHER_TURNS: Final = "another system prompt or earlier turn"
SAME_PROMPT: Final = "the same prompt"
_BATCH: Final = 256
_IDENTITY: Final = {"model": "evaluation"}  # the same for all, so that only the turns can differ


class Encodes(Protocol):
    """The part of an encoder that is needed here."""

    name: str

    def encode(self, questions: list[str], /) -> NDArray[np.float32]:
        """Vectors of length 1, shape (questions, dimension)."""


class Watches(Protocol):
    """Told how far a step of the work is."""

    def expect(self, name: str, total: int, done: int) -> None:
        """``done`` of ``total`` are done."""


class Says(Protocol):
    """The part of a verdict that is needed here."""

    @property
    def same(self) -> bool:
        """Whether b's answer answers a."""

    @property
    def reason(self) -> str:
        """Why, in words."""


Verifies = Callable[[str, str], Says]


class _Said(NamedTuple):
    same: bool
    reason: str


class Judged(NamedTuple):
    """One pair as the cache sees it.

    ``similarity`` is the cosine: 1 for equal keys, None where earlier turns differ, because
    then the two are never compared. ``accepted`` is true for equal keys and where the verifier
    says the same, whatever the cosine.
    """

    pair: Pair
    similarity: float | None
    accepted: bool
    reason: str


def judge(
    pairs: Sequence[Pair],
    encoder: Encodes,
    verify: Verifies,
    *,
    max_question_chars: int,
    progress: Watches,
) -> list[Judged]:
    """Judge every pair, in their order; like the cache, compare no longer questions."""
    keys = [(key_of(pair.a, _IDENTITY), key_of(pair.b, _IDENTITY)) for pair in pairs]
    vectors = _encode(keys, encoder, progress)
    found: list[Judged] = []
    for number, (pair, (asked, stored)) in enumerate(zip(pairs, keys, strict=True)):
        if number % _BATCH == 0:
            progress.expect(VERIFYING, len(pairs), number)
        similarity = _similarity(asked, stored, vectors)
        verdict = _verdict(asked, stored, verify, max_question_chars)
        found.append(Judged(pair, similarity, verdict.same, verdict.reason))
    progress.expect(VERIFYING, len(pairs), len(pairs))
    return found


def _verdict(asked: CacheKey, stored: CacheKey, verify: Verifies, most: int) -> Says:
    if asked.key == stored.key:
        return _Said(same=True, reason=SAME_PROMPT)
    if asked.partition != stored.partition:
        return _Said(same=False, reason=OTHER_TURNS)
    if max(len(asked.question), len(stored.question)) > most:
        return _Said(same=False, reason=f"a question longer than {most:,} characters")
    return verify(asked.question, stored.question)


def _similarity(
    asked: CacheKey, stored: CacheKey, vectors: dict[str, NDArray[np.float32]]
) -> float | None:
    if asked.partition != stored.partition:
        return None
    if asked.key == stored.key:
        return 1.0
    return float(vectors[asked.to_encode] @ vectors[stored.to_encode])


def _encode(
    keys: Sequence[tuple[CacheKey, CacheKey]], encoder: Encodes, progress: Watches
) -> dict[str, NDArray[np.float32]]:
    """The vector of each question that is compared; equal questions are encoded once."""
    questions = list(
        dict.fromkeys(
            key.to_encode
            for asked, stored in keys
            if asked.partition == stored.partition and asked.key != stored.key
            for key in (asked, stored)
        )
    )
    vectors: dict[str, NDArray[np.float32]] = {}
    progress.expect(ENCODING, len(questions), 0)
    for start in range(0, len(questions), _BATCH):
        batch = questions[start : start + _BATCH]
        vectors.update(zip(batch, encoder.encode(batch), strict=True))
        progress.expect(ENCODING, len(questions), len(vectors))
    return vectors
