"""A training is a function of its seed: the same command makes the same bytes."""

import argparse
from pathlib import Path

import pytest

from penstock_workers.toys import train


def weights(folder: Path, *, seed: int, start_from: Path | None = None) -> bytes:
    options = argparse.Namespace(
        size="draft",
        steps=3,
        seed=seed,
        out=folder,
        start_from=start_from,
        diet="all",
        peak_rate=train.PEAK_RATE,
        threads=1,
        max_minutes=float("inf"),
        save_s=float("inf"),
    )
    train.train("draft", options)
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(autouse=True)
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The held-out test takes longer than these trainings."""
    monkeypatch.setattr(train, "scores", lambda *_: {})


def test_the_same_seed_makes_the_same_model(tmp_path: Path) -> None:
    first = weights(tmp_path / "first", seed=1)
    assert weights(tmp_path / "again", seed=1) == first
    assert weights(tmp_path / "other", seed=2) != first


def test_a_later_round_goes_on_from_the_earlier_one(tmp_path: Path) -> None:
    first = weights(tmp_path / "first", seed=1)
    second = weights(tmp_path / "second", seed=2, start_from=tmp_path / "first")
    assert second not in {first, weights(tmp_path / "alone", seed=2)}
