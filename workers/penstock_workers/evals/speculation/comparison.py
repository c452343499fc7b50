"""From runs with and without speculation to measurements. Pure functions."""

from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import fmean, median

from penstock_shared.errors import InvalidSuite
from penstock_shared.words import TaskType
from penstock_workers.evals.bench import Run
from penstock_workers.evals.reports import spread
from penstock_workers.evals.speculation.report import Measurement
from penstock_workers.evals.suite import Suite

Runs = Mapping[tuple[TaskType, int], Sequence[Run]]
"""One engine's runs by task type and batch size, one for each round."""


def compare(alone: Runs, variants: Mapping[str, Runs], suite: Suite) -> tuple[Measurement, ...]:
    """Measurements of all variants; where an engine answered nothing in some run, there is none."""
    found = []
    for name, runs in variants.items():
        for (task_type, batch_size), theirs in alone.items():
            ours = runs[task_type, batch_size]
            if all(_tokens(run) for run in (*ours, *theirs)):
                size = len(suite.of(task_type))
                found.append(_measurement(name, task_type, batch_size, ours, theirs, size))
    if not found:
        errors = [a.error for run in chain(*alone.values()) for a in run.answers if a.error]
        raise InvalidSuite(f"no case got an answer; the first: {errors[0] if errors else 'empty'}")
    return tuple(found)


def changed_between_rounds(runs: Runs) -> tuple[int, int]:
    """How many answers of one engine differ from its first round, and how many were compared."""
    pairs = [(rounds[0], later) for rounds in runs.values() for later in rounds[1:]]
    return _changed(pairs)


def _measurement(
    name: str,
    task_type: TaskType,
    batch_size: int,
    ours: Sequence[Run],
    theirs: Sequence[Run],
    suite_cases: int,
) -> Measurement:
    answers = [answer for run in ours for answer in run.answers]
    speculated = [answer.speculation for answer in answers if answer.speculation is not None]
    drafted, accepted = sum(s.drafted for s in speculated), sum(s.accepted for s in speculated)
    steps = sum(s.steps for s in speculated)
    changed, compared = _changed(list(zip(theirs, ours, strict=True)))
    alone = median(run.tokens_per_s for run in theirs)
    suite_tokens = suite_cases * fmean(_tokens(run) / len(run.answers) for run in theirs)
    return Measurement(
        variant=name,
        task_type=task_type,
        batch_size=batch_size,
        cases=len(ours[0].answers),
        failed=sum(answer.error is not None for answer in answers),
        baseline_tokens_per_s=alone,
        tokens_per_s=median(run.tokens_per_s for run in ours),
        speed_up=spread(
            [a.tokens_per_s / b.tokens_per_s for a, b in zip(ours, theirs, strict=True)]
        ),
        acceptance_rate=accepted / drafted if drafted else None,
        accepted_length=1 + accepted / steps if steps else None,
        changed=changed,
        compared=compared,
        baseline_s=suite_tokens / alone,
    )


def _changed(pairs: Sequence[tuple[Run, Run]]) -> tuple[int, int]:
    texts = [
        (a.text, b.text)
        for ours, theirs in pairs
        for a, b in zip(ours.answers, theirs.answers, strict=True)
        if a.error is None and b.error is None
    ]
    return sum(a != b for a, b in texts), len(texts)


def _tokens(run: Run) -> int:
    return sum(answer.output_tokens for answer in run.answers)
