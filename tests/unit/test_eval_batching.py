"""eval batching: which cases at which concurrency, and where the knee is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock_shared.errors import InvalidSuite
from penstock_workers.evals.batching import measure as batching
from penstock_workers.evals.batching.measure import (
    Batching,
    cases_for,
    draw,
    measure_batching,
    mixed,
    sizes_up_to,
)
from penstock_workers.evals.batching.report import BatchingReport, Point, gains, knee_of
from penstock_workers.evals.bench import Run
from penstock_workers.evals.reports import percentile, spread
from penstock_workers.evals.suite import Case
from tests.scripted_bench import Benches, Counted, a_contender, a_suite, answers

SUITE = a_suite(code=6, chat=3)


def flattening(name: str, cases: Sequence[Case], concurrency: int) -> Run:
    """Twice the sequences, twice the throughput, until eight are inside."""
    tokens_per_s = 100 * min(concurrency, 8)
    return Run(answers(cases), wall_s=len(cases) * 10 / tokens_per_s)


def measured(
    monkeypatch: pytest.MonkeyPatch, script: Any = flattening, **plan: Any
) -> tuple[BatchingReport, Benches, Counted]:
    benches, progress = Benches(script), Counted()
    monkeypatch.setattr(batching, "benches", benches)
    given = {
        "suite": SUITE,
        "contender": a_contender(max_num_seqs=4),
        "folder": Path("nowhere"),
        "most": 32,
        "rounds": 2,
        **plan,
    }
    return measure_batching(Batching(**given), progress), benches, progress


def points(*tokens_per_s: float) -> list[Point]:
    return [
        Point(
            concurrency=2**power,
            cases=16,
            failed=0,
            tokens_per_s=spread([speed]),
            p50_s=1.0,
            p95_s=2.0,
        )
        for power, speed in enumerate(tokens_per_s)
    ]


def test_rounds_go_up_and_down(monkeypatch: pytest.MonkeyPatch) -> None:
    _, benches, _ = measured(monkeypatch)
    warm_up, *sizes = [asked.concurrency for asked in benches.asked]
    assert warm_up == 16
    assert sizes == [1, 2, 4, 8, 16, 32, 32, 16, 8, 4, 2, 1]


def test_the_engine_has_a_slot_for_each_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    report, benches, _ = measured(monkeypatch)
    assert report.options["max_num_seqs"] == 32
    assert benches.closed == 1


def test_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    report, _, progress = measured(monkeypatch)
    assert [round(point.tokens_per_s.median) for point in report.points] == [
        *(100, 200, 400, 800, 800, 800)
    ]
    assert report.knee == 8
    assert report.toml == "max_num_seqs = 8"
    assert report.at_knee.p95_s == pytest.approx(0.5)
    assert report.mean_tokens == pytest.approx(40)
    assert progress.came == progress.expected
    assert BatchingReport.model_validate_json(report.model_dump_json()) == report


def test_failed_answers_have_no_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(name: str, cases: Sequence[Case], concurrency: int) -> Run:
        done = answers(cases)
        failed = done[0]._replace(output_tokens=0, latency_s=0.0, error="too long")
        return Run((failed, *done[1:]), wall_s=1.0)

    report, _, _ = measured(monkeypatch, script)
    assert {point.failed for point in report.points} == {2}
    assert {point.p50_s for point in report.points} == {0.5}


def test_an_engine_that_answers_nothing_gives_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(name: str, cases: Sequence[Case], concurrency: int) -> Run:
        return Run(answers(cases, tokens=0, error="too long"), wall_s=0.0)

    with pytest.raises(InvalidSuite, match="too long"):
        measured(monkeypatch, script)


def test_each_size_has_cases_for_a_steady_state() -> None:
    assert [cases_for(size) for size in (1, 32, 256)] == [96, 96, 768]
    assert sizes_up_to(256) == (1, 2, 4, 8, 16, 32, 64, 128, 256)
    assert sizes_up_to(48) == (1, 2, 4, 8, 16, 32, 48)
    assert sizes_up_to(1) == (1,)


def test_distinct_cases_come_first_and_ids_stay_distinct() -> None:
    drawn = draw(SUITE, 20)
    assert len({case.id for case in drawn}) == 20
    assert drawn[:9] == mixed(SUITE)
    assert drawn[9].id == f"{drawn[0].id}#2"
    assert drawn[18].id == f"{drawn[0].id}#3"
    assert drawn[18].messages == drawn[0].messages


def test_any_part_has_short_and_long_cases() -> None:
    case = SUITE.cases[0]
    cases = tuple(
        case.model_copy(update={"id": f"{n}", "messages": ({"role": "user", "content": "x" * n},)})
        for n in range(1, 65)
    )
    suite = SUITE.model_copy(update={"cases": cases})
    for count in (4, 8, 16, 64):
        lengths = [len(case.request().text) for case in draw(suite, count)]
        assert sum(lengths) / count == pytest.approx(32, rel=0.3)


def test_any_part_is_mixed_like_the_suite() -> None:
    assert [case.task_type.value for case in mixed(SUITE)] == [
        *("code", "chat", "code"),
        *("code", "chat", "code"),
        *("code", "chat", "code"),
    ]


def test_the_knee_is_where_nine_tenths_of_the_best_are_reached() -> None:
    assert knee_of(points(100, 180, 300, 400, 440, 445, 380)) == 16
    assert knee_of(points(100, 180, 300, 405, 440, 445, 380)) == 8
    assert knee_of(points(100)) == 1


def test_gains_are_over_the_size_before() -> None:
    assert gains(points(100, 180, 270)) == (None, 1.8, 1.5)


def test_a_small_cache_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    report, _, _ = measured(monkeypatch)
    assert report.sequences_in_cache == 200
    assert report.caveat is None
    small = report.model_copy(update={"kv_cache_tokens": 150})
    assert small.caveat is not None
    assert "holds 3 sequences of the suite's mean length (40 tokens)" in small.caveat
    assert report.model_copy(update={"kv_cache_tokens": None}).caveat is None


def test_a_knee_at_the_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    report, _, _ = measured(monkeypatch, most=8)
    assert report.knee == 8
    assert report.caveat == "throughput still grows at 8: measure with a larger --most"


def test_a_percentile_is_a_measured_value() -> None:
    assert percentile([3, 1, 2, 4], 0.5) == 2
    assert percentile([3, 1, 2, 4], 0.95) == 4
    assert percentile([7], 0.5) == 7
