"""Embeddings: texts become vectors with the worker's encoder, beside its engine, free of charge.

A thread of its own, so that thousands of texts let no other job wait for its admission.
"""

import json
import logging
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.settling import Answer, Settlement
from penstock_shared.words import JobState, RequestKind, Source
from penstock_workers.encoder import BATCH

log = logging.getLogger(__name__)
_GROUP: Final = 8 * BATCH  # texts


class TextEncoder(Protocol):
    """What an embedding needs of an encoder."""

    name: str
    identity: str

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of a text it reads; None: all."""

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, whatever its length."""

    def encode(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape (texts, dimension), float32."""


class _Counted(NamedTuple):
    """An embedding, and how many tokens each of its texts has."""

    claim: Claim
    tokens: Sequence[int]

    @property
    def texts(self) -> list[str]:
        return [message.content for message in self.claim.request.messages]


class _Stop(NamedTuple):
    pass


class Embeddings:
    """Takes embeddings out of the batches that a worker admits; ``run`` answers them.

    ``encoder`` gives the encoder, loaded on its first call if it is not yet; ``settle`` takes what
    ended.
    """

    def __init__(
        self,
        *,
        encoder: Callable[[], TextEncoder],
        name: str,
        settle: Callable[[Sequence[Settlement]], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._encoder = encoder
        self._name = name
        self._settle = settle
        self._now_ms = now_ms
        self._waiting: queue.SimpleQueue[list[Claim] | _Stop] = queue.SimpleQueue()
        self._is_cut_short = False

    def take(self, claims: Sequence[Claim]) -> list[Claim]:
        """Take the embeddings of a batch; returns the others, in their order."""
        mine = [claim for claim in claims if claim.request.kind is RequestKind.EMBEDDING]
        if mine:
            self._waiting.put(mine)
        return [claim for claim in claims if claim.request.kind is not RequestKind.EMBEDDING]

    def stop(self, *, cut_short: bool = False) -> None:
        """Let ``run`` return after all that was taken so far, or after the pass that is under way.

        What is cut short stays held; who stops the worker gives it back.
        """
        self._is_cut_short = cut_short
        self._waiting.put(_Stop())

    def run(self) -> None:
        """Answer batch after batch, each in as few passes as it takes."""
        while not isinstance(claims := self._waiting.get(), _Stop) and not self._is_cut_short:
            now_ms = self._now_ms()
            self._settle([_expired(claim) for claim in claims if _is_late(claim, now_ms)])
            self._answer([claim for claim in claims if not _is_late(claim, now_ms)])

    def _answer(self, claims: Sequence[Claim]) -> None:
        if not claims:
            return
        try:
            encoder = self._encoder()
        except Exception as error:  # noqa: BLE001 - a model's files can be wrong in any way
            log.warning("the encoder %s cannot be loaded (%s)", self._name, type(error).__name__)
            why = " ".join(str(error).split()) or "no reason given"
            reason = f"the encoder {self._name!r} cannot be loaded: {why}"
            self._settle([_failed(claim, reason) for claim in claims])
            return
        try:
            self._encode(encoder, claims)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one job's fault
            self._answer_singly(claims, error)

    def _answer_singly(self, claims: Sequence[Claim], error: Exception) -> None:
        """One bad text must not fail its batch."""
        if len(claims) > 1:
            for claim in claims:
                self._answer([claim])
            return
        log.warning("job %s cannot be encoded (%s)", claims[0].job_id, type(error).__name__)
        reason = f"the encoder {self._name!r} cannot encode it ({type(error).__name__})"
        self._settle([_failed(claims[0], reason)])

    def _encode(self, encoder: TextEncoder, claims: Sequence[Claim]) -> None:
        """Refuse what is too long, and encode the rest together."""
        counted = _count(encoder, claims)
        checked = [(each, _excess(encoder, each)) for each in counted]
        self._settle([_failed(each.claim, why) for each, why in checked if why is not None])
        for some in _groups([each for each, why in checked if why is None]):
            begun_ms, begun_ns = self._now_ms(), time.monotonic_ns()
            vectors = self._vectors(encoder, [text for each in some for text in each.texts])
            if vectors is None:
                return
            took_ms = (time.monotonic_ns() - begun_ns) // 1_000_000
            done = _answered(encoder, some, vectors, begun_ms=begun_ms, took_ms=took_ms)
            self._settle(list(done))

    def _vectors(
        self, encoder: TextEncoder, texts: Sequence[str]
    ) -> Sequence[NDArray[np.float32]] | None:
        """One for each text; None when the worker stops. Between passes others may encode."""
        rows: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), BATCH):
            if self._is_cut_short:
                return None
            rows.extend(encoder.encode(texts[start : start + BATCH]))
        return rows


def as_json(vectors: Sequence[NDArray[np.float32]]) -> str:
    """A list of lists of numbers, each with as many digits as tell it from other float32."""
    return json.dumps([[float(number) for number in row.astype(str)] for row in vectors])


def _count(encoder: TextEncoder, claims: Sequence[Claim]) -> list[_Counted]:
    texts = [message.content for claim in claims for message in claim.request.messages]
    counts = iter(encoder.token_counts(texts))
    return [_Counted(claim, [next(counts) for _ in claim.request.messages]) for claim in claims]


def _groups(counted: Sequence[_Counted]) -> Iterator[list[_Counted]]:
    """Those that are settled together: all, unless that would be a long time without a result."""
    group: list[_Counted] = []
    for each in counted:
        group.append(each)
        if sum(len(one.tokens) for one in group) >= _GROUP:
            yield group
            group = []
    if group:
        yield group


def _excess(encoder: TextEncoder, counted: _Counted) -> str | None:
    """Why it cannot be encoded whole; None: it can."""
    most = encoder.max_tokens
    for number, tokens in enumerate(counted.tokens, start=1):
        if most is not None and tokens > most:
            return (
                f"text {number} has {tokens:,} tokens and the encoder {encoder.name!r} reads "
                f"{most:,}; shorten or split it"
            )
    return None


def _answered(
    encoder: TextEncoder,
    counted: Sequence[_Counted],
    vectors: Sequence[NDArray[np.float32]],
    *,
    begun_ms: int,
    took_ms: int,
) -> Iterator[Settlement]:
    rows = iter(vectors)
    for claim, tokens in counted:
        answer = Answer(
            text=as_json([next(rows) for _ in tokens]),
            finish_reason="stop",
            source=Source.ENCODER,
            model=encoder.name,
            revision=None,
            quantization=None,
            speculation=None,
            prompt_tokens=sum(tokens),
            cached_tokens=0,
            completion_tokens=0,
            queue_ms=max(0, begun_ms - claim.created_ms),
            prefill_ms=took_ms,
            decode_ms=0,
            source_detail=f"encoded by {encoder.identity}",
        )
        yield Settlement(claim, JobState.SUCCEEDED, 0, answer)


def _is_late(claim: Claim, now_ms: int) -> bool:
    return claim.deadline_ms is not None and claim.deadline_ms <= now_ms


def _failed(claim: Claim, reason: str) -> Settlement:
    return Settlement(claim, JobState.FAILED, 0, error=reason)


def _expired(claim: Claim) -> Settlement:
    return Settlement(claim, JobState.EXPIRED, 0, error="the deadline passed before it was encoded")
