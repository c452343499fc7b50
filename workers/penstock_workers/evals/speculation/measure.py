"""eval speculation: one engine configuration with and without speculative decoding.

Each run answers cases of one task type at one batch size. Baseline and variants take turns, one
run each, and the next round goes through them in reverse, so that what slows the machine down for
a while slows all of them down; only runs of the same round are compared.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from penstock_shared.errors import InvalidSuite
from penstock_shared.words import TaskType
from penstock_workers.evals.bench import Bench, Run, benches
from penstock_workers.evals.contender import Contender
from penstock_workers.evals.progress import Progress
from penstock_workers.evals.speculation.advice import LEAST_GAIN, recommend
from penstock_workers.evals.speculation.comparison import Runs, changed_between_rounds, compare
from penstock_workers.evals.speculation.report import SpeculationReport
from penstock_workers.evals.speculation.variants import checked, idle_variants, without_speculation
from penstock_workers.evals.suite import Case, Suite

BATCH_SIZES: Final = (1, 4, 16, 64)
LEAST_CASES: Final = 4
LEAST_WALL_S: Final = 0.001
TRIALS: Final = "trial runs"


class Speculating(NamedTuple):
    """What to measure.

    A run has as many cases of one task type as the baseline answers in ``run_s`` seconds, but at
    most ``limit``; twice the batch size where that is more, and no more than the suite has. Logs
    go to ``folder``.
    """

    suite: Suite
    baseline: Contender
    variants: Sequence[Contender]
    folder: Path
    batch_sizes: Sequence[int] = BATCH_SIZES
    rounds: int = 3
    limit: int = 64
    run_s: float = 2.0
    in_turn: bool = False
    least_gain: float = LEAST_GAIN


class Lap(NamedTuple):
    """What each engine runs in each round: these cases, that many at once."""

    task_type: TaskType
    batch_size: int
    cases: tuple[Case, ...]


def measure_speculation(plan: Speculating, progress: Progress) -> SpeculationReport:
    """Load the engines, let them take turns, compare each variant with the baseline.

    Each draft model gets one variant more, which drafts nothing: what a schedule's zero costs.
    Raises InvalidSuite when there is nothing to measure, EngineError when an engine dies.
    """
    baseline = without_speculation(plan.baseline)
    contenders = [*plan.variants, *idle_variants(plan.variants)]
    variants = checked(contenders, baseline.name)
    runs, max_num_seqs = _measure(plan, [baseline, *contenders], progress)
    alone = runs.pop(baseline.name)
    measurements = compare(alone, runs, plan.suite)
    changed, compared = changed_between_rounds(alone)
    return SpeculationReport(
        suite=plan.suite.name,
        suite_digest=plan.suite.digest,
        baseline=baseline.name,
        model=baseline.config.model,
        options=baseline.config.engine_options(),
        variants=variants,
        batch_sizes=tuple(sorted({batch_size for _, batch_size in alone})),
        rounds=plan.rounds,
        in_turn=plan.in_turn,
        max_num_seqs=max_num_seqs,
        least_gain=plan.least_gain,
        measurements=measurements,
        baseline_changed=changed,
        baseline_compared=compared,
        recommendation=recommend(variants, measurements, max_num_seqs, plan.least_gain),
    )


def trials(suite: Suite, batch_sizes: Sequence[int], max_num_seqs: int) -> tuple[Lap, ...]:
    """The shortest runs: no batch is larger than the engine's slots or than its task's cases.

    Raises InvalidSuite when no batch size is left.
    """
    sizes = sorted({min(size, max_num_seqs) for size in batch_sizes})
    laps = tuple(
        Lap(task_type, size, spaced(suite.of(task_type), max(LEAST_CASES, 2 * size)))
        for size in sizes
        for task_type in suite.task_types
        if len(suite.of(task_type)) >= size
    )
    if not laps:
        raise InvalidSuite(
            f"no task type of {suite.name} has {sizes[0]} cases, which the smallest batch needs; "
            "take a smaller one"
        )
    return laps


def sized(trial: Lap, wall_s: float, plan: Speculating) -> Lap:
    """The run that is measured, from how long its trial took."""
    cases = plan.suite.of(trial.task_type)
    wanted = min(plan.limit, math.ceil(plan.run_s * len(trial.cases) / max(wall_s, LEAST_WALL_S)))
    return trial._replace(cases=spaced(cases, max(wanted, len(trial.cases))))


def spaced(cases: Sequence[Case], count: int) -> tuple[Case, ...]:
    """``count`` of the cases, evenly from first to last; all when there are not so many."""
    count = min(count, len(cases))
    return tuple(cases[i * len(cases) // count] for i in range(count))


def _measure(
    plan: Speculating, contenders: Sequence[Contender], progress: Progress
) -> tuple[dict[str, Runs], int]:
    """All runs by engine, and the slots of the engines."""
    runs: dict[str, dict[tuple[TaskType, int], list[Run]]] = {c.name: {} for c in contenders}
    laps: tuple[Lap, ...] = ()
    max_num_seqs = 0
    with closing(benches(contenders, plan.folder, in_turn=plan.in_turn)) as groups:
        for group in groups:
            max_num_seqs = max_num_seqs or group[0].limits.max_num_seqs
            laps = laps or _laps(plan, group[0], max_num_seqs, progress)
            total = plan.rounds * sum(len(lap.cases) for lap in laps) + len(laps[-1].cases)
            for bench in group:
                progress.expect(bench.contender.name, total, 0)
            for bench in group:
                # Not counted: kernels are compiled at their first use.
                _run(bench, laps[-1], progress, bench.contender.name)
            for bench, lap in _turns(group, laps, plan.rounds):
                name = bench.contender.name
                ours = runs[name].setdefault((lap.task_type, lap.batch_size), [])
                ours.append(_run(bench, lap, progress, name))
    return dict(runs), max_num_seqs


def _laps(
    plan: Speculating, bench: Bench, max_num_seqs: int, progress: Progress
) -> tuple[Lap, ...]:
    """The runs of a round, long enough on the baseline to be timed."""
    laps = trials(plan.suite, plan.batch_sizes, max_num_seqs)
    progress.expect(TRIALS, sum(len(lap.cases) for lap in laps), 0)
    return tuple(sized(lap, _run(bench, lap, progress, TRIALS).wall_s, plan) for lap in laps)


def _turns(group: Sequence[Bench], laps: Sequence[Lap], rounds: int) -> Iterator[tuple[Bench, Lap]]:
    for number in range(rounds):
        order = group if number % 2 == 0 else group[::-1]
        for lap in laps:
            for bench in order:
                yield bench, lap


def _run(bench: Bench, lap: Lap, progress: Progress, name: str) -> Run:
    return bench.run(lap.cases, lap.batch_size, lambda _: progress.advance(name))
