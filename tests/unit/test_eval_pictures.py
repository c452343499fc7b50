"""The pictures of the evaluations: of a sensible size, without warnings, of odd reports too."""

import itertools
import struct
import sys
from pathlib import Path

import pytest

from penstock_shared.words import TaskType
from penstock_workers.evals.pictures import draw_batching, draw_quality, draw_speculation
from penstock_workers.evals.pictures.drawing import shortened, spread_out
from tests.eval_reports import a_batching_report, a_quality_report, a_speculation_report


def size_of_png(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", head[16:])
    return width, height


def test_quality(tmp_path: Path) -> None:
    draw_quality(a_quality_report(), tmp_path / "quality.png")
    width, height = size_of_png(tmp_path / "quality.png")
    assert width == 1200
    assert 700 <= height <= 800


def test_quality_of_one_engine_of_unknown_size(tmp_path: Path) -> None:
    report = a_quality_report(("large",))
    engine = report.engines[0].model_copy(update={"weights_bytes": None, "tokens_per_s": 0.0})
    draw_quality(report.model_copy(update={"engines": (engine,)}), tmp_path / "quality.png")
    assert size_of_png(tmp_path / "quality.png") == (1200, 700)


def test_quality_without_any_score(tmp_path: Path) -> None:
    report = a_quality_report().model_copy(update={"scores": ()})
    draw_quality(report, tmp_path / "quality.png")
    assert size_of_png(tmp_path / "quality.png") == (1200, 700)


def test_names_may_be_long_and_vietnamese_and_have_dollars(tmp_path: Path) -> None:
    report = a_quality_report().model_copy(update={"suite": "câu hỏi của chúng ta $x_1$" * 4})
    engines = tuple(
        engine.model_copy(update={"name": f"{engine.name} đã lượng tử hoá $a" * 3})
        for engine in report.engines
    )
    names = {old.name: new.name for old, new in zip(report.engines, engines, strict=True)}
    scores = tuple(s.model_copy(update={"engine": names[s.engine]}) for s in report.scores)
    report = report.model_copy(
        update={"engines": engines, "scores": scores, "reference": engines[0].name}
    )
    draw_quality(report, tmp_path / "quality.png")
    assert size_of_png(tmp_path / "quality.png")[0] == 1200


@pytest.mark.parametrize("tasks", [tuple(TaskType), (TaskType.CODE,)])
def test_speculation(tmp_path: Path, tasks: tuple[TaskType, ...]) -> None:
    draw_speculation(a_speculation_report(tasks), tmp_path / "speculation.png")
    assert size_of_png(tmp_path / "speculation.png") == (1200, 700)


def test_speculation_that_drafts_nothing(tmp_path: Path) -> None:
    report = a_speculation_report()
    rows = tuple(
        row.model_copy(update={"acceptance_rate": None, "accepted_length": None})
        for row in report.measurements
    )
    off = report.recommendation.model_copy(update={"steps": (), "speculative_config": None})
    report = report.model_copy(update={"measurements": rows, "recommendation": off})
    draw_speculation(report, tmp_path / "speculation.png")
    assert size_of_png(tmp_path / "speculation.png") == (1200, 700)


@pytest.mark.parametrize("kv_cache_tokens", [400_000, 20_000, None])
def test_batching(tmp_path: Path, kv_cache_tokens: int | None) -> None:
    draw_batching(a_batching_report(kv_cache_tokens), tmp_path / "batching.png")
    assert size_of_png(tmp_path / "batching.png") == (1200, 700)


def test_batching_of_one_size(tmp_path: Path) -> None:
    report = a_batching_report()
    report = report.model_copy(update={"points": report.points[:1], "knee": 1})
    draw_batching(report, tmp_path / "batching.png")
    assert size_of_png(tmp_path / "batching.png") == (1200, 700)


def test_nothing_global_is_left_behind(tmp_path: Path) -> None:
    draw_batching(a_batching_report(), tmp_path / "batching.png")
    assert "matplotlib.pyplot" not in sys.modules


def test_names_that_would_touch_are_moved_apart() -> None:
    assert spread_out([0.1, 0.9], 0.05) == [0.1, 0.9]
    assert spread_out([0.52, 0.50], 0.1) == pytest.approx([0.56, 0.46])
    crowded = spread_out([0.5, 0.51, 0.52, 0.1], 0.1)
    assert crowded == pytest.approx([0.41, 0.51, 0.61, 0.1])
    moved = sorted(spread_out([0.1, 0.12, 0.2, 0.22], 0.1))
    assert all(b - a > 0.099 for a, b in itertools.pairwise(moved))


def test_a_long_name_keeps_its_end() -> None:
    assert shortened("large", 8) == "large"
    assert shortened("models/large-int8", 8) == "…ge-int8"
