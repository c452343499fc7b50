"""Asking, grading and resuming, with engines that say what the test wants."""

import json

import pytest

from penstock_shared.errors import EngineError, InvalidSuite
from penstock_shared.tier_settings import TierSettings
from penstock_shared.words import TaskType
from penstock_workers.engine.protocol import EngineLimits
from penstock_workers.evals.bench import Answer, Run
from penstock_workers.evals.contender import Contender
from penstock_workers.evals.quality import asking
from penstock_workers.evals.quality.journal import Journal
from penstock_workers.evals.quality.measure import measure_quality
from penstock_workers.evals.quality.plan import Quality
from penstock_workers.evals.suite import load_suite

GOOD = Contender("good", TierSettings(model="a-good-model", price_per_hour=0))
BAD = Contender("bad", TierSettings(model="a-bad-model", price_per_hour=0))
JUDGE = Contender("judge", TierSettings(model="a-judge", price_per_hour=0))


class ScriptedBench:
    """Says the case's id when it is good, ``?`` when it is bad; the judge likes neither."""

    def __init__(self, contender, dies_after=None):
        self.contender = contender
        self.limits = EngineLimits(4096, 64, 10_000, 1_000)
        self.asked = []
        self._dies_after = dies_after

    def run(self, cases, concurrency, on_answer):
        answers = []
        for case in cases:
            if self._dies_after is not None and len(self.asked) >= self._dies_after:
                raise EngineError("the engine died")
            self.asked.append(case.id)
            text = {"good": case.id, "bad": "?", "judge": "No."}[self.contender.name]
            answers.append(Answer(case.id, text, 5, 10, 0.1))
            on_answer(answers[-1])
        return Run(tuple(answers), 2.0)


class Counted:
    def __init__(self):
        self.expected, self.advanced = {}, []

    def expect(self, name, total, done):
        self.expected[name] = (total, done)

    def advance(self, name):
        self.advanced.append(name)


@pytest.fixture
def engines(monkeypatch):
    """The benches that were loaded, by name; set ``dies_after`` to let one die."""
    loaded, dies_after = {}, {}

    def benches(contenders, logs, *, in_turn):
        group = [ScriptedBench(c, dies_after.get(c.name)) for c in contenders]
        loaded.update({bench.contender.name: bench for bench in group})
        yield group

    monkeypatch.setattr(asking, "benches", benches)
    loaded["dies_after"] = dies_after
    return loaded


def a_plan(tmp_path, *, judged=False, judge=None):
    lines = [
        {"id": f"{kind}{n}", "task_type": kind, "messages": [{"role": "user", "content": "?"}]}
        for kind in ("code", "chat", "creative")
        for n in range(3)
    ]
    for line in lines:
        if line["task_type"] != "creative":
            line["checker"] = {"type": "exact", "expected": line["id"]}
    if judged:
        lines[0]["checker"] = {"type": "judge", "criteria": "is it polite?"}
    path = tmp_path / "suite.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    suite, journal = load_suite(str(path)), Journal(tmp_path / "out")
    return Quality(suite, [GOOD, BAD], journal, judge)


def measure(plan, tmp_path, progress=None):
    return measure_quality(plan, progress or Counted(), tmp_path / "wrong.jsonl")


def test_every_engine_is_asked_everything_and_scored_by_task_type(engines, tmp_path):
    progress = Counted()
    report = measure(a_plan(tmp_path), tmp_path, progress)
    assert len(engines["good"].asked) == len(engines["bad"].asked) == 9
    assert progress.expected == {"good": (9, 0), "bad": (9, 0)}
    assert len(progress.advanced) == 18
    assert {s.right for s in report.of("good").values()} == {3}
    assert {s.right for s in report.of("bad").values()} == {0}
    assert report.reference == "good"


def test_a_task_type_without_checkers_is_timed_and_not_scored(engines, tmp_path):
    report = measure(a_plan(tmp_path), tmp_path)
    assert report.unscored == (TaskType.CREATIVE,)
    assert set(report.of("good")) == {TaskType.CODE, TaskType.CHAT}
    good = report.engines[0]
    assert good.tokens_per_s_by_task[TaskType.CREATIVE] == 15  # three answers of 10 in 2 s
    assert good.tokens_per_s == 15


def test_wrong_answers_are_written_for_people(engines, tmp_path):
    measure(a_plan(tmp_path), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "wrong.jsonl").read_text().splitlines()]
    assert {line["engine"] for line in lines} == {"bad"}
    assert lines[0] == {"engine": "bad", "case": "code0", "why": "another text", "answer": "?"}


def test_an_interrupted_evaluation_asks_nothing_twice(engines, tmp_path):
    engines["dies_after"]["bad"] = 2
    with pytest.raises(EngineError):
        measure(a_plan(tmp_path), tmp_path)
    before = {name: list(engines[name].asked) for name in ("good", "bad")}
    engines["dies_after"].clear()
    progress = Counted()
    report = measure(a_plan(tmp_path), tmp_path, progress)
    for name in ("good", "bad"):
        assert not set(before[name]) & set(engines[name].asked)
        assert len(before[name]) + len(engines[name].asked) == 9
    assert progress.expected["bad"] == (9, 2)
    assert report.of("good")[TaskType.CODE].right == 3


def test_a_finished_evaluation_loads_no_engine(engines, tmp_path):
    first = measure(a_plan(tmp_path), tmp_path)
    del engines["good"], engines["bad"]
    assert measure(a_plan(tmp_path), tmp_path) == first
    assert "good" not in engines


def test_a_judge_decides_what_only_a_judge_can(engines, tmp_path):
    report = measure(a_plan(tmp_path, judged=True, judge=JUDGE), tmp_path)
    assert report.of("good")[TaskType.CODE].right == 2
    assert len(engines["judge"].asked) == 2
    assert {engine.name for engine in report.engines} == {"good", "bad"}


def test_without_a_judge_a_suite_that_needs_one_is_refused_before_anything_is_spent(
    engines, tmp_path
):
    with pytest.raises(InvalidSuite, match=r"1 case.* --judge"):
        measure(a_plan(tmp_path, judged=True), tmp_path)
    assert "good" not in engines


def test_a_prompt_that_an_engine_refuses_counts_as_wrong(engines, tmp_path):
    plan = a_plan(tmp_path)
    refused = Answer("code0", "code0", 0, 0, 0.0, error="too long")
    plan.journal.add(plan.key(GOOD), refused)
    report = measure(plan, tmp_path)
    assert report.of("good")[TaskType.CODE].right == 2
    assert report.refused == (TaskType.CODE,)
