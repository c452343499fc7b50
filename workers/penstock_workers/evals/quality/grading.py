"""Right or wrong: a contender's answers from the journal, checked."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from penstock_workers.evals.bench import Answer
from penstock_workers.evals.checking import Verdict, check, check_judgement, judge_prompt
from penstock_workers.evals.contender import Contender
from penstock_workers.evals.quality.plan import Quality
from penstock_workers.evals.suite import Case, Judge

JUDGE_TOKENS: Final = 16


def verdicts(plan: Quality, contender: Contender) -> Mapping[str, Verdict]:
    """The verdict on each case that has a checker, by its id."""
    answers = plan.journal.answers(plan.key(contender))
    judgements = plan.journal.answers(plan.key(plan.judge)) if plan.judge else {}

    def verdict(case: Case) -> Verdict:
        answer = answers[case.id]
        if answer.error is not None:
            return Verdict(right=False, why=answer.error)
        if isinstance(case.checker, Judge):
            return check_judgement(judgements[_judge_id(contender, case)].text)
        return check(case.checker, answer.text) if case.checker else Verdict(right=True)

    scored = [case for case in plan.suite.cases if case.checker is not None]
    with ThreadPoolExecutor() as pool:  # code is checked in processes of its own
        return dict(zip((case.id for case in scored), pool.map(verdict, scored), strict=True))


def write_wrong(plan: Quality, found: Mapping[str, Mapping[str, Verdict]], path: Path) -> None:
    """Write what each engine answered wrongly, to be read by people: one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for contender in plan.contenders:
            answers = plan.journal.answers(plan.key(contender))
            for case_id, verdict in found[contender.name].items():
                if not verdict.right:
                    line = {
                        "engine": contender.name,
                        "case": case_id,
                        "why": verdict.why,
                        "answer": answers[case_id].text,
                    }
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")


def judge_case(contender: Contender, case: Case, answer: Answer) -> Case:
    """The question to the judge about one answer."""
    criteria = case.checker.criteria if isinstance(case.checker, Judge) else ""
    prompt = judge_prompt(case.request().question, answer.text, criteria)
    return Case(
        id=_judge_id(contender, case),
        task_type=case.task_type,
        messages=({"role": "user", "content": prompt},),
        max_tokens=JUDGE_TOKENS,
    )


def _judge_id(contender: Contender, case: Case) -> str:
    return f"{contender.digest}/{case.id}"
