"""eval quality: the same questions to several engine configurations, scored and compared."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from penstock_shared.errors import InvalidSuite
from penstock_shared.words import TaskType
from penstock_workers.evals.checking import Verdict
from penstock_workers.evals.contender import Contender
from penstock_workers.evals.progress import Progress
from penstock_workers.evals.quality.asking import ask, ask_judge
from penstock_workers.evals.quality.grading import verdicts, write_wrong
from penstock_workers.evals.quality.journal import Timing
from penstock_workers.evals.quality.plan import Quality
from penstock_workers.evals.quality.scores import EngineFacts, QualityReport, scores_of
from penstock_workers.models import checkpoint_bytes


def measure_quality(plan: Quality, progress: Progress, wrong: Path) -> QualityReport:
    """Ask what was not asked yet, check every answer, compare; what was wrong goes to ``wrong``.

    Raises InvalidSuite when cases need a judge and none is named, EngineError when an engine dies;
    what was answered until then is in the journal, and the next call goes on from there.
    """
    if plan.judged and plan.judge is None:
        raise InvalidSuite(
            f"{len(plan.judged)} cases of {plan.suite.name} need a judge; "
            "name its tier or model with --judge"
        )
    ask(plan, plan.contenders, plan.suite.cases, progress)
    ask_judge(plan, progress)
    found = {contender.name: verdicts(plan, contender) for contender in plan.contenders}
    write_wrong(plan, found, wrong)
    return _report(plan, found)


def _report(plan: Quality, found: Mapping[str, Mapping[str, Verdict]]) -> QualityReport:
    scored = {
        task_type: [c.id for c in plan.suite.of(task_type) if c.checker is not None]
        for task_type in plan.suite.task_types
    }
    by_task = {
        task_type: {
            name: [verdict_of[case_id].right for case_id in ids]
            for name, verdict_of in found.items()
        }
        for task_type, ids in scored.items()
        if ids
    }
    refused = _refused(plan)
    return QualityReport(
        suite=plan.suite.name,
        suite_digest=plan.suite.digest,
        reference=plan.contenders[0].name,
        engines=tuple(_facts(plan, contender, refused) for contender in plan.contenders),
        scores=scores_of(by_task, plan.contenders[0].name),
        unscored=tuple(task_type for task_type, ids in scored.items() if not ids),
        refused=refused,
    )


def _refused(plan: Quality) -> tuple[TaskType, ...]:
    """The task types of which not every engine took every prompt, so that speeds differ by that."""
    failed = {
        answer.case_id
        for contender in plan.contenders
        for answer in plan.journal.answers(plan.key(contender)).values()
        if answer.error is not None
    }
    return tuple(t for t in plan.suite.task_types if any(c.id in failed for c in plan.suite.of(t)))


def _facts(plan: Quality, contender: Contender, refused: Collection[TaskType]) -> EngineFacts:
    key = plan.key(contender)
    timings, limits = plan.journal.timings(key), plan.journal.limits(key)
    by_task = {
        t.task_type: _speed([x for x in timings if x.task_type == t.task_type]) for t in timings
    }
    return EngineFacts(
        name=contender.name,
        model=contender.config.model,
        identity=contender.config.identity(),
        options=contender.config.engine_options(),
        tokens_per_s=_speed([t for t in timings if t.task_type not in refused]),
        tokens_per_s_by_task={TaskType(task_type): speed for task_type, speed in by_task.items()},
        weights_bytes=checkpoint_bytes(contender.config.model)
        or (limits.weights_bytes if limits else None),
        kv_cache_tokens=limits.kv_cache_tokens if limits else None,
    )


def _speed(timings: Sequence[Timing]) -> float:
    wall_s = sum(timing.wall_s for timing in timings)
    return sum(timing.tokens for timing in timings) / wall_s if wall_s else 0.0
