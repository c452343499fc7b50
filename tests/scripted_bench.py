"""An engine on the test bench that answers as it is told, without any engine."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from penstock_shared.tier_settings import TierSettings
from penstock_workers.engine.protocol import EngineLimits
from penstock_workers.evals.bench import Answer, Run
from penstock_workers.evals.contender import Contender
from penstock_workers.evals.suite import Case, Suite

LIMITS = EngineLimits(max_model_len=1024, max_num_seqs=64, kv_cache_tokens=8000, weights_bytes=1)
Script = Callable[[str, Sequence[Case], int], Run]


class Asked(NamedTuple):
    """A run that was asked for: of which engine, on which cases, that many at once."""

    engine: str
    case_ids: tuple[str, ...]
    concurrency: int


class ScriptedBench:
    """Stands in for evals.bench.Bench."""

    def __init__(self, contender: Contender, script: Script, asked: list[Asked]) -> None:
        self.contender = contender
        self.limits = LIMITS._replace(
            max_num_seqs=contender.config.max_num_seqs or LIMITS.max_num_seqs
        )
        self._script, self._asked = script, asked

    def run(
        self, cases: Sequence[Case], concurrency: int, on_answer: Callable[[Answer], None]
    ) -> Run:
        """Answer by the script."""
        name = self.contender.name
        self._asked.append(Asked(name, tuple(case.id for case in cases), concurrency))
        run = self._script(name, cases, concurrency)
        for answer in run.answers:
            on_answer(answer)
        return run


class Benches:
    """Stands in for evals.bench.benches; ``asked`` holds every run in its order."""

    def __init__(self, script: Script) -> None:
        self.asked: list[Asked] = []
        self.closed = 0
        self._script = script

    def __call__(
        self, contenders: Sequence[Contender], logs: Path, *, in_turn: bool
    ) -> Generator[list[ScriptedBench]]:
        groups = [[contender] for contender in contenders] if in_turn else [list(contenders)]
        for group in groups:
            try:
                yield [ScriptedBench(contender, self._script, self.asked) for contender in group]
            finally:
                self.closed += len(group)


class Counted:
    """Stands in for a Progress: counts what is expected and what came."""

    def __init__(self) -> None:
        self.expected: dict[str, int] = {}
        self.came: dict[str, int] = {}

    def expect(self, name: str, total: int, done: int) -> None:
        self.expected[name] = total
        self.came[name] = done

    def advance(self, name: str) -> None:
        self.came[name] += 1


def answers(cases: Sequence[Case], tokens: int = 10, **fields: object) -> tuple[Answer, ...]:
    """An answer to each case, equal but for the id."""
    given = {"text": "yes", "prompt_tokens": 30, "latency_s": 0.5, **fields}
    return tuple(
        Answer(case_id=case.id, output_tokens=tokens, **given)  # type: ignore[arg-type]
        for case in cases
    )


def a_suite(**counts: int) -> Suite:
    """So many cases of each task type."""
    cases = tuple(
        Case(
            id=f"{task_type}-{number}",
            task_type=task_type,
            messages=({"role": "user", "content": f"question {number}"},),
        )
        for task_type, count in counts.items()
        for number in range(count)
    )
    return Suite(name="made-up", cases=cases, digest="0123456789abcdef")


def a_contender(name: str = "large", **options: object) -> Contender:
    """An engine configuration of a toy."""
    values = {"model": "penstock-toys/large", "price_per_hour": 0, **options}
    return Contender(name, TierSettings.model_validate(values))
