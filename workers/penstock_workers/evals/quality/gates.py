"""From a report on quality to gates: what each tier may serve under a tolerance."""

from collections.abc import Mapping
from pathlib import Path

from penstock_shared.errors import InvalidSuite
from penstock_shared.gates import Gate, Gates, TierGates, measured_on
from penstock_shared.tier_settings import TierSettings
from penstock_workers.evals.quality.scores import QualityReport, Score


def gates_of(report: QualityReport, tiers: Mapping[str, TierSettings], tolerance: float) -> Gates:
    """A tier may serve a task type when, with 95 % confidence, it is worse than the reference by
    no more than ``tolerance`` (a share of right answers). What was not scored has no gate.

    Raises InvalidSuite when the report's engines are not these tiers.
    """
    measured = {
        engine.name: engine
        for engine in report.engines
        if engine.name in tiers and engine.identity == tiers[engine.name].identity()
    }
    if report.reference not in measured or len(measured) < len(tiers):
        missing = sorted(tiers.keys() - measured.keys())
        raise InvalidSuite(
            f"the report does not measure the tiers {', '.join(missing) or report.reference} as "
            "they are configured now; run penstock-worker eval quality without --engine first"
        )
    reference = report.of(report.reference)
    return Gates(
        suite=report.suite,
        suite_digest=report.suite_digest,
        reference=report.reference,
        tolerance=tolerance,
        tiers={
            name: TierGates(
                measured_on=measured_on(tiers[name]),
                task_types={
                    task_type: _gate(score, reference[task_type], tolerance, report.reference)
                    for task_type, score in report.of(name).items()
                },
            )
            for name in measured
        },
    )


def write_gates(gates: Gates, path: Path) -> None:
    """Replace the file in one step, so that no reader sees half of it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(gates.model_dump_json(indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def _gate(score: Score, reference: Score, tolerance: float, name: str) -> Gate:
    if score.engine == name:
        return Gate(passed=True, why=f"{score.score.value:.2f}, the reference")
    figures = f"{score.score.value:.2f} against {reference.score.value:.2f} of {name}"
    if score.no_worse_by <= tolerance:
        return Gate(passed=True, why=figures)
    if -score.difference.value <= tolerance:
        figures += f", which {score.of} cases do not prove"
    return Gate(passed=False, why=figures)
