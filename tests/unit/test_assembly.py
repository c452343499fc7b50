"""The parts of a worker that are made only when they are wanted."""

import pytest

from penstock_shared.settings import CacheSettings, Settings
from penstock_workers import assembly
from penstock_workers.encoder import Encoder


def test_without_a_semantic_cache_the_encoder_is_loaded_once_when_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []
    outcomes: list[object] = [OSError("away"), "an encoder"]

    def load(name: str, backend: str, *, threads: int) -> object:
        assert threads >= 1
        asked.append((name, backend))
        outcome = outcomes[len(asked) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(Encoder, "load", load)
    settings = Settings(cache=CacheSettings(semantic=False, encoder="e", encoder_backend="onnx"))
    encoder_of = assembly._encoder_of(settings)
    assert asked == []
    with pytest.raises(OSError, match="away"):
        encoder_of()
    assert [encoder_of(), encoder_of()] == ["an encoder"] * 2
    assert asked == [("e", "onnx")] * 2
