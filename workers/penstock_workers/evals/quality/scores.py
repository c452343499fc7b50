"""From answers to scores: a pure function, and the report that is written and read again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from penstock_shared.errors import InvalidSuite
from penstock_shared.words import TaskType
from penstock_workers.evals.quality import statistics
from penstock_workers.evals.reports import Frozen


class Interval(Frozen):
    """A share or a difference of shares, with its 95 % confidence interval."""

    value: float
    low: float
    high: float


class Score(Frozen):
    """How one engine did on one task type, and how that compares to the reference.

    ``no_worse_by``: with 95 % confidence the engine is not worse than the reference by more.
    """

    engine: str
    task_type: TaskType
    right: int
    of: int
    score: Interval
    difference: Interval
    p_value: float
    significant: bool
    no_worse_by: float


class EngineFacts(Frozen):
    """What an engine was and what it needed; speeds are output tokens per second.

    ``weights_bytes`` is the size of the checkpoint's files, or what the engine holds when it has
    them from elsewhere.
    """

    name: str
    model: str
    identity: dict[str, Any]
    options: dict[str, Any]
    tokens_per_s: float
    tokens_per_s_by_task: dict[TaskType, float]
    weights_bytes: int | None
    kv_cache_tokens: int | None


class QualityReport(Frozen):
    """All that ``eval quality`` found; the first engine is the reference.

    ``unscored`` has no checkers. Of ``refused`` some engine refused prompts, so these task types
    are not in the engines' overall speed.
    """

    suite: str
    suite_digest: str
    reference: str
    engines: tuple[EngineFacts, ...]
    scores: tuple[Score, ...]
    unscored: tuple[TaskType, ...]
    refused: tuple[TaskType, ...]

    @property
    def task_types(self) -> tuple[TaskType, ...]:
        """The task types with scores, in the order of the words."""
        scored = {score.task_type for score in self.scores}
        return tuple(task_type for task_type in TaskType if task_type in scored)

    def of(self, engine: str) -> dict[TaskType, Score]:
        """One engine's scores."""
        return {s.task_type: s for s in self.scores if s.engine == engine}


def read_quality(path: Path) -> QualityReport:
    """Read the report that ``eval quality`` wrote. Raises InvalidSuite."""
    try:
        return QualityReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidSuite(f"{path} is no report of eval quality: {reason}") from None


Verdicts = Mapping[TaskType, Mapping[str, Sequence[bool]]]
"""For each task type and engine, right or wrong for each case, in the same order for all."""


def scores_of(verdicts: Verdicts, reference: str) -> tuple[Score, ...]:
    """Scores of all engines. Significance is corrected for the number of comparisons (Holm)."""
    rows = [
        (task_type, engine, right, by_engine[reference])
        for task_type, by_engine in verdicts.items()
        for engine, right in by_engine.items()
    ]
    p_values = [statistics.p_value(ours, theirs) for _, _, ours, theirs in rows]
    compared = [i for i, (_, engine, _, _) in enumerate(rows) if engine != reference]
    found = statistics.significant([p_values[i] for i in compared])
    significant = dict(zip(compared, found, strict=True))
    return tuple(
        Score(
            engine=engine,
            task_type=task_type,
            right=sum(ours),
            of=len(ours),
            score=_interval(statistics.share(sum(ours), len(ours))),
            difference=_interval(statistics.difference(ours, theirs)),
            p_value=p_values[i],
            significant=significant.get(i, False),
            no_worse_by=_no_worse_by(ours, theirs, is_reference=engine == reference),
        )
        for i, (task_type, engine, ours, theirs) in enumerate(rows)
    )


def _no_worse_by(ours: Sequence[bool], theirs: Sequence[bool], *, is_reference: bool) -> float:
    if is_reference:
        return 0.0
    # The lower bound of a 90 % interval is the one-sided bound of 95 %.
    return max(0.0, -statistics.difference(ours, theirs, confidence=0.90).low)


def _interval(interval: statistics.Interval) -> Interval:
    return Interval(**interval._asdict())
