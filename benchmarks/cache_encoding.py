"""Embedding one by one and in batches of 16, with every backend that is installed."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, get_args

import numpy as np
from cache_vectors import make_questions
from contender import Spread

from penstock_shared.errors import SettingsError
from penstock_workers.encoder import Encoder
from penstock_workers.encoder_backends import Backend

_BATCH = 16


class Encoded(NamedTuple):
    """Milliseconds per question of one backend; how far its cosines are from the first one's."""

    identity: str
    one_by_one: Spread
    in_batches: Spread
    gain: Spread
    largest_error: float


def load_encoders(name: str) -> Mapping[str, Encoder]:
    """An encoder for each backend that is installed; ``torch`` is always among them."""
    found: dict[str, Encoder] = {}
    for backend in get_args(Backend):
        try:
            found[backend] = Encoder.load(name, backend)
        except SettingsError:
            continue
    return found


def measure_encoding(
    encoders: Mapping[str, Encoder], rounds: int, on_round: Callable[[], None]
) -> Mapping[str, Encoded]:
    """Each encoder, both ways, in turn; each round has 16 questions of its own."""
    questions = make_questions((rounds + 1) * _BATCH)
    single: dict[str, list[float]] = {name: [] for name in encoders}
    batched: dict[str, list[float]] = {name: [] for name in encoders}
    for number in range(rounds + 1):
        chosen = questions[number * _BATCH : (number + 1) * _BATCH]
        for name, encoder in encoders.items():
            single[name].append(_ms(encoder, [[question] for question in chosen]))
            batched[name].append(_ms(encoder, [chosen]))
        on_round()
    sample = make_questions(64)
    cosines = {name: (v := encoder.encode(sample)) @ v.T for name, encoder in encoders.items()}
    exact = cosines.get("onnx", cosines["torch"])  # computed in float32
    return {
        name: Encoded(
            encoder.identity,
            Spread.of(single[name][1:]),  # the first round warms up
            Spread.of(batched[name][1:]),
            Spread.of([a / b for a, b in zip(single[name], batched[name], strict=True)][1:]),
            float(np.abs(cosines[name] - exact).max()),
        )
        for name, encoder in encoders.items()
    }


def _ms(encoder: Encoder, groups: list[list[str]]) -> float:
    start = time.perf_counter()
    for group in groups:
        encoder.encode(group)
    return (time.perf_counter() - start) * 1000 / sum(len(group) for group in groups)
