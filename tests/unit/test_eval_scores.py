"""From verdicts to scores, and from scores to gates."""

import pytest

from penstock_shared.errors import InvalidSuite, SettingsError
from penstock_shared.gates import in_force, read_gates, warn_of_stale
from penstock_shared.tier_settings import TierSettings
from penstock_shared.words import TaskType
from penstock_workers.evals.quality.gates import gates_of, write_gates
from penstock_workers.evals.quality.scores import EngineFacts, QualityReport, scores_of

QA, CODE = TaskType.FACTUAL_QA, TaskType.CODE
TIERS = {
    "small": TierSettings(model="a-small-model", price_per_hour=1),
    "large": TierSettings(model="a-large-model", price_per_hour=4),
}


def right(count, of=100):
    return [number < count for number in range(of)]


def a_report(verdicts, tiers=TIERS):
    engines = tuple(
        EngineFacts(
            name=name,
            model=tier.model,
            identity=tier.identity(),
            options={},
            tokens_per_s=100,
            tokens_per_s_by_task={},
            weights_bytes=None,
            kv_cache_tokens=None,
        )
        for name, tier in tiers.items()
    )
    return QualityReport(
        suite="a-suite",
        suite_digest="0",
        reference="large",
        engines=engines,
        scores=scores_of(verdicts, "large"),
        unscored=(),
        refused=(),
    )


def gate(small, large, tolerance=0.05, of=100):
    report = a_report({CODE: {"large": right(large, of), "small": right(small, of)}})
    return gates_of(report, TIERS, tolerance).tiers["small"].task_types[CODE]


def test_a_score_is_compared_with_the_reference_case_by_case():
    scores = scores_of({QA: {"large": right(90), "small": right(60)}}, "large")
    large, small = scores
    assert (small.right, small.of, small.score.value) == (60, 100, 0.6)
    assert small.difference.value == pytest.approx(-0.3)
    assert small.significant
    assert small.difference.low <= -0.3 <= small.difference.high < 0
    assert large.difference.value == 0
    assert not large.significant


def test_a_difference_that_chance_makes_is_not_significant():
    small = scores_of({QA: {"large": right(90), "small": right(88)}}, "large")[1]
    assert small.difference.value == pytest.approx(-0.02)
    assert not small.significant


def test_significance_counts_all_comparisons_together():
    # 6 lost of 6 is p = 0.031: significant alone, not as one of three.
    verdicts = {QA: {"large": right(100), "small": right(94)}}
    assert scores_of(verdicts, "large")[1].significant
    verdicts[QA] |= {"medium": right(100), "other": right(100)}
    assert not scores_of(verdicts, "large")[1].significant


def test_a_tier_that_is_as_good_passes_its_gate():
    assert gate(100, 100).passed
    assert gate(99, 99).why == "0.99 against 0.99 of large"


def test_a_tier_that_is_worse_by_more_than_the_tolerance_fails():
    found = gate(50, 100)
    assert not found.passed
    assert found.why == "0.50 against 1.00 of large"
    assert gate(50, 100, tolerance=0.7).passed


def test_a_tier_passes_only_what_the_cases_prove():
    found = gate(10, 10, of=10)
    assert not found.passed
    assert found.why == "1.00 against 1.00 of large, which 10 cases do not prove"


def test_the_reference_passes_always():
    report = a_report({CODE: {"large": right(0), "small": right(100)}})
    gates = gates_of(report, TIERS, 0.0)
    assert gates.tiers["large"].task_types[CODE].passed


def test_a_report_about_other_engines_makes_no_gates():
    report = a_report({CODE: {"large": right(9), "small": right(9)}})
    changed = TIERS | {"small": TierSettings(model="another-model", price_per_hour=1)}
    with pytest.raises(InvalidSuite, match="tiers small"):
        gates_of(report, changed, 0.05)
    with pytest.raises(InvalidSuite, match="tiers more"):
        gates_of(report, TIERS | {"more": TIERS["small"]}, 0.05)


def test_gates_are_written_and_read(tmp_path):
    gates = gates_of(a_report({CODE: {"large": right(90), "small": right(10)}}), TIERS, 0.05)
    write_gates(gates, tmp_path / "gates.json")
    assert read_gates(tmp_path / "gates.json") == gates
    assert [path.name for path in tmp_path.iterdir()] == ["gates.json"]


def test_gates_count_only_for_the_engine_that_was_measured(caplog, tmp_path):
    gates = gates_of(a_report({CODE: {"large": right(90), "small": right(10)}}), TIERS, 0.05)
    assert not in_force(gates, TIERS)["small"][CODE].passed
    changed = TIERS | {"small": TierSettings(model="another-model", price_per_hour=1)}
    assert set(in_force(gates, changed)) == {"large"}
    warn_of_stale(gates, TIERS, tmp_path)
    assert not caplog.text
    warn_of_stale(gates, changed, tmp_path)
    assert "does not count for small" in caplog.text


def test_a_longer_context_is_no_other_engine():
    gates = gates_of(a_report({CODE: {"large": right(90), "small": right(10)}}), TIERS, 0.05)
    longer = TierSettings(model="a-small-model", price_per_hour=1, max_model_len=9999)
    assert "small" in in_force(gates, TIERS | {"small": longer})


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"suite": 1}'])
def test_a_file_that_holds_no_gates_is_refused(tmp_path, text):
    path = tmp_path / "gates.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match="penstock-worker eval gates"):
        read_gates(path)
