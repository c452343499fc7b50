"""Puts the questions that the journal has no answer to yet."""

from collections.abc import Sequence
from contextlib import closing

from penstock_shared.words import TaskType
from penstock_workers.evals.bench import Answer, Bench, benches
from penstock_workers.evals.contender import Contender
from penstock_workers.evals.progress import Progress
from penstock_workers.evals.quality.grading import judge_case
from penstock_workers.evals.quality.journal import Timing
from penstock_workers.evals.quality.plan import Quality
from penstock_workers.evals.suite import Case


def ask(
    plan: Quality, contenders: Sequence[Contender], cases: Sequence[Case], progress: Progress
) -> None:
    """Load the engines that have questions left, and write every answer down as it comes."""
    left: dict[str, list[Case]] = {}
    for contender in contenders:
        known = plan.journal.answers(plan.key(contender))
        left[contender.name] = [case for case in cases if case.id not in known]
        done = len(cases) - len(left[contender.name])
        progress.expect(contender.name, len(cases), done)
    unfinished = [contender for contender in contenders if left[contender.name]]
    with closing(benches(unfinished, plan.journal.folder, in_turn=plan.in_turn)) as groups:
        for group in groups if unfinished else ():
            for bench in group:
                plan.journal.add(plan.key(bench.contender), bench.limits)
            # Task type by task type, so that engines side by side are timed side by side.
            for task_type in TaskType:
                for bench in group:
                    ours = [c for c in left[bench.contender.name] if c.task_type is task_type]
                    _ask_one(plan, bench, ours, progress)


def _ask_one(plan: Quality, bench: Bench, cases: Sequence[Case], progress: Progress) -> None:
    if not cases:
        return
    key = plan.key(bench.contender)

    def write_down(answer: Answer) -> None:
        plan.journal.add(key, answer)
        progress.advance(bench.contender.name)

    run = bench.run(cases, plan.concurrency, write_down)
    tokens = sum(answer.output_tokens for answer in run.answers)
    plan.journal.add(key, Timing(cases[0].task_type, tokens, run.wall_s))


def ask_judge(plan: Quality, progress: Progress) -> None:
    """Let the judge grade the answers of all contenders that need one."""
    if plan.judge is None:
        return
    questions = [
        judge_case(contender, case, plan.journal.answers(plan.key(contender))[case.id])
        for contender in plan.contenders
        for case in plan.judged
    ]
    ask(plan, [plan.judge], questions, progress)
