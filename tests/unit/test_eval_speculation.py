"""eval speculation: whose turn it is, what is compared, and what is recommended."""

from pathlib import Path
from typing import Any

import pytest

from penstock_shared.errors import InvalidSuite
from penstock_shared.speculative_options import SCHEDULE
from penstock_shared.words import TaskType
from penstock_workers.engine.protocol import Speculation
from penstock_workers.evals.bench import Run
from penstock_workers.evals.reports import Spread
from penstock_workers.evals.speculation import measure as speculation
from penstock_workers.evals.speculation.advice import (
    TOKENS,
)
from penstock_workers.evals.speculation.measure import (
    Speculating,
    measure_speculation,
    spaced,
)
from penstock_workers.evals.speculation.report import (
    SpeculationReport,
)
from penstock_workers.evals.speculation.variants import (
    idle_variants,
    variant_of,
    without_speculation,
)
from tests.scripted_bench import Benches, Counted, Script, a_contender, a_suite, answers

DRAFT = {"method": "draft_model", "model": "penstock-toys/draft"}
NGRAM = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 4}
SUITE = a_suite(code=20, chat=20)


def measured(
    monkeypatch: pytest.MonkeyPatch, script: Script, **plan: Any
) -> tuple[SpeculationReport, Benches, Counted]:
    benches, progress = Benches(script), Counted()
    monkeypatch.setattr(speculation, "benches", benches)
    contender = a_contender()
    given = {
        "suite": SUITE,
        "baseline": contender,
        "variants": [variant_of(contender, {**DRAFT, "num_speculative_tokens": n}) for n in (2, 4)],
        "folder": Path("nowhere"),
        "batch_sizes": (1, 4),
        "rounds": 2,
        **plan,
    }
    return measure_speculation(Speculating(**given), progress), benches, progress


def steady(name: str, cases: Any, concurrency: int) -> Run:
    """Variants take half the time alone, and twice the time in a batch."""
    if name == "large alone":
        return Run(answers(cases), wall_s=1.0)
    done = answers(cases, speculation=Speculation(steps=4, drafted=8, accepted=6))
    return Run(done, wall_s=0.5 if concurrency == 1 else 2.0)


def test_engines_take_turns_and_the_next_round_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _, benches, _ = measured(monkeypatch, steady, suite=a_suite(code=20), batch_sizes=(1,))
    engines = [asked.engine for asked in benches.asked]
    trial = ["large alone"]
    there = ["large alone", "draft 2", "draft 4", "draft 0"]
    assert engines == [*trial, *there, *there, *reversed(there)]


def test_all_engines_answer_the_same_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    _, benches, _ = measured(monkeypatch, steady)
    asked: dict[str, list[Any]] = {}
    for engine, case_ids, concurrency in benches.asked[4 + 4 :]:
        asked.setdefault(engine, []).append((case_ids, concurrency))
    ours = [sorted(runs) for runs in asked.values()]
    assert len(ours) == 4
    assert all(runs == ours[0] for runs in ours)


def test_in_turn_each_engine_makes_all_its_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    report, benches, _ = measured(
        monkeypatch, steady, suite=a_suite(code=20), batch_sizes=(1,), in_turn=True
    )
    engines = [asked.engine for asked in benches.asked]
    assert engines == ["large alone"] * 4 + [
        name for name in ("draft 2", "draft 4", "draft 0") for _ in range(3)
    ]
    assert report.in_turn
    assert report.measurements[0].speed_up.median == pytest.approx(2.0)
    assert benches.closed == 4


def test_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    report, _, _ = measured(monkeypatch, steady)
    row = report.of("draft 2", TaskType.CODE)[0]
    assert row.batch_size == 1
    assert row.speed_up == Spread(median=2.0, low=2.0, high=2.0)
    assert row.acceptance_rate == pytest.approx(6 / 8)
    assert row.accepted_length == pytest.approx(1 + 6 / 4)
    assert (row.changed, row.failed) == (0, 0)
    assert row.compared == 2 * row.cases
    assert SpeculationReport.model_validate_json(report.model_dump_json()) == report


def test_the_speed_up_is_the_median_of_ratios_in_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    walls = {"large alone": [9, 9, 1, 2, 8], "ngram 2": [9, 1, 1, 1]}

    def script(name: str, cases: Any, concurrency: int) -> Run:
        return Run(answers(cases), wall_s=float(walls[name].pop(0)))

    report, _, _ = measured(
        monkeypatch,
        script,
        suite=a_suite(code=20),
        batch_sizes=(1,),
        rounds=3,
        variants=[variant_of(a_contender(), NGRAM)],
    )
    # The machine was slow in the third round, for the baseline only.
    assert report.measurements[0].speed_up == Spread(median=2.0, low=1.0, high=8.0)


def test_progress_is_told_how_many_answers_will_come(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, progress = measured(monkeypatch, steady)
    engines = {"large alone", "draft 2", "draft 4", "draft 0"}
    assert set(progress.expected) == engines | {"trial runs"}
    assert progress.came == progress.expected


def test_changed_answers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(name: str, cases: Any, concurrency: int) -> Run:
        done = answers(cases)
        if name == "draft 4":
            done = (done[0]._replace(text="another"), *done[1:])
        return Run(done, 1.0)

    report, _, _ = measured(monkeypatch, script)
    assert {row.changed for row in report.of("draft 2", TaskType.CODE)} == {0}
    assert {row.changed for row in report.of("draft 4", TaskType.CODE)} == {2}
    assert report.baseline_changed == 0
    assert report.baseline_compared > 0


def test_an_answer_with_an_error_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(name: str, cases: Any, concurrency: int) -> Run:
        done = answers(cases)
        if name == "draft 4":
            done = (done[0]._replace(text="", output_tokens=0, error="aborted"), *done[1:])
        return Run(done, 1.0)

    report, _, _ = measured(monkeypatch, script)
    row = report.of("draft 4", TaskType.CODE)[0]
    assert (row.failed, row.changed, row.compared) == (2, 0, 2 * row.cases - 2)


def test_engines_that_answer_nothing_give_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(name: str, cases: Any, concurrency: int) -> Run:
        return Run(answers(cases, tokens=0, error="too long"), 0.0)

    with pytest.raises(InvalidSuite, match="too long"):
        measured(monkeypatch, script)


def test_a_batch_is_no_larger_than_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    small = a_contender(max_num_seqs=8)
    report, benches, _ = measured(
        monkeypatch,
        steady,
        baseline=small,
        variants=[variant_of(small, {**DRAFT, "num_speculative_tokens": 2})],
        batch_sizes=(1, 16, 64),
    )
    assert report.batch_sizes == (1, 8)
    assert max(asked.concurrency for asked in benches.asked) == 8


def test_a_task_type_with_too_few_cases_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    report, _, _ = measured(monkeypatch, steady, suite=a_suite(code=20, chat=3))
    measured_at = {(row.task_type, row.batch_size) for row in report.measurements}
    assert measured_at == {("code", 1), ("code", 4), ("chat", 1)}
    with pytest.raises(InvalidSuite, match="no task type of made-up has 32 cases"):
        measured(monkeypatch, steady, batch_sizes=(32,))


def test_a_run_lasts_long_enough_to_be_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(name: str, cases: Any, concurrency: int) -> Run:
        return Run(answers(cases), wall_s=0.1 * len(cases) / concurrency)

    _, benches, _ = measured(
        monkeypatch, script, suite=a_suite(code=100), batch_sizes=(1, 8), run_s=2.0, limit=64
    )
    sizes = {asked.concurrency: len(asked.case_ids) for asked in benches.asked[2:]}
    assert sizes == {1: 20, 8: 64}


def test_the_baseline_does_not_speculate() -> None:
    plain = without_speculation(
        a_contender(speculative_config={**DRAFT, "num_speculative_tokens": 3})
    )
    assert "speculative_config" not in plain.config.engine_options()


def test_a_variant_is_checked_and_named() -> None:
    given = {**DRAFT, "num_speculative_tokens": 3}
    assert variant_of(a_contender(), given).name == "draft 3"
    schedule = {"num_speculative_tokens_per_batch_size": [[1, 4, 3]]}
    assert variant_of(a_contender(), given | schedule).name == "draft 3 scheduled"
    ngram = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4}
    assert variant_of(a_contender(), ngram).name == "ngram 4"
    with pytest.raises(InvalidSuite, match="needs a model"):
        variant_of(a_contender(), {"method": "draft_model", "num_speculative_tokens": 3})


def test_variants_must_speculate_and_have_names_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two = variant_of(a_contender(), {**DRAFT, "num_speculative_tokens": 2})
    for variants, words in (
        ([], "no variant"),
        ([a_contender("plain")], "needs a speculative_config"),
        ([two, two], "two engines are called"),
    ):
        with pytest.raises(InvalidSuite, match=words):
            measured(monkeypatch, steady, variants=variants)


def test_cases_are_spaced_from_first_to_last() -> None:
    assert [case.id for case in spaced(SUITE.cases[:10], 4)] == [
        "code-0",
        "code-2",
        "code-5",
        "code-7",
    ]
    assert spaced(SUITE.cases[:3], 8) == SUITE.cases[:3]


def test_a_draft_model_gets_a_variant_that_drafts_nothing() -> None:
    two, four, ngram = (
        variant_of(a_contender(), config)
        for config in ({**DRAFT, TOKENS: 2}, {**DRAFT, TOKENS: 4}, NGRAM)
    )
    (idle,) = idle_variants([two, four, ngram])
    assert idle.name == "draft 0"
    assert idle.config.speculative_config == {**DRAFT, TOKENS: 4, SCHEDULE: [[1, 1, 0]]}
    assert idle_variants([ngram]) == []
