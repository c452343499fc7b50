"""eval batching: throughput and latency of one engine against the number of concurrent sequences.

A closed loop keeps that many requests inside: when one is answered, the next goes in. Each run has
at least three times as many cases, so that it is at its steady state for most of the time; its
ends, where the engine fills and empties, count too. However many cases a run has, they are mixed
like the suite, by task type and by length: a run with other documents would measure the documents.
Distinct cases are drawn before any is repeated, and a repeated prompt does not find its first time
in the prefix cache. Rounds go up and down through the sizes in turn.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean, median
from typing import Final, NamedTuple

from penstock_shared.errors import InvalidSuite
from penstock_workers.evals.batching.report import BatchingReport, Point, knee_of
from penstock_workers.evals.bench import Answer, Bench, Run, benches
from penstock_workers.evals.contender import Contender
from penstock_workers.evals.progress import Progress
from penstock_workers.evals.reports import percentile, spread
from penstock_workers.evals.suite import Case, Suite

MOST: Final = 256
PER_SEQUENCE: Final = 3
LEAST_CASES: Final = 96
WARM_UP_CASES: Final = 16


class Batching(NamedTuple):
    """What to measure: sizes are the powers of two up to ``most``, and ``most`` itself.

    Logs go to ``folder``.
    """

    suite: Suite
    contender: Contender
    folder: Path
    most: int = MOST
    rounds: int = 3


def measure_batching(plan: Batching, progress: Progress) -> BatchingReport:
    """Load the engine with slots for the largest size and measure size by size.

    Raises InvalidSuite when the engine answers no case, EngineError when it dies.
    """
    contender = with_slots(plan.contender, plan.most)
    sizes = sizes_up_to(plan.most)
    runs: dict[int, list[Run]] = {size: [] for size in sizes}
    with closing(benches([contender], plan.folder, in_turn=True)) as groups:
        (bench,) = next(groups)
        limits = bench.limits
        total = WARM_UP_CASES + plan.rounds * sum(map(cases_for, sizes))
        progress.expect(contender.name, total, 0)
        # Not counted: at first use kernels are compiled.
        _run(bench, plan.suite, WARM_UP_CASES, WARM_UP_CASES, progress)
        for size in _turns(sizes, plan.rounds):
            runs[size].append(_run(bench, plan.suite, size, cases_for(size), progress))
    points = tuple(point_of(size, found) for size, found in runs.items())
    answers = [a for found in runs.values() for run in found for a in answered(run)]
    return BatchingReport(
        suite=plan.suite.name,
        suite_digest=plan.suite.digest,
        engine=contender.name,
        model=contender.config.model,
        options=contender.config.engine_options(),
        rounds=plan.rounds,
        kv_cache_tokens=limits.kv_cache_tokens,
        mean_tokens=fmean(a.prompt_tokens + a.output_tokens for a in answers),
        points=points,
        knee=knee_of(points),
    )


def with_slots(contender: Contender, most: int) -> Contender:
    """The same configuration with room for ``most`` sequences."""
    return contender._replace(config=contender.config.model_copy(update={"max_num_seqs": most}))


def sizes_up_to(most: int) -> tuple[int, ...]:
    """1, 2, 4 and so on below ``most``, then ``most``."""
    powers = (2**power for power in range(most.bit_length()))
    return (*(size for size in powers if size < most), most)


def cases_for(size: int) -> int:
    """How many cases a run at this size has."""
    return max(LEAST_CASES, PER_SEQUENCE * size)


def draw(suite: Suite, count: int) -> tuple[Case, ...]:
    """That many cases, every part of them mixed like the suite; past its end they come again.

    The ids are distinct: a case that comes again has its pass behind its own.
    """
    ordered = mixed(suite)
    return tuple(
        case
        if number < len(ordered)
        else case.model_copy(update={"id": _again(case, number, suite)})
        for number, case in enumerate(islice(cycle(ordered), count))
    )


def mixed(suite: Suite) -> tuple[Case, ...]:
    """The suite's cases, its task types and their lengths spread evenly from first to last."""
    places = [
        ((number + 0.5) / len(ours), case)
        for ours in map(suite.of, suite.task_types)
        for number, case in enumerate(_of_all_lengths(ours))
    ]
    return tuple(case for _, case in sorted(places, key=lambda place: place[0]))


def _of_all_lengths(cases: Sequence[Case]) -> list[Case]:
    """By length in bit-reversed order (van der Corput 1935): each part has short and long ones."""
    ordered = sorted(cases, key=lambda case: len(case.request().text))
    bits = max(1, (len(ordered) - 1).bit_length())
    places = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits))
    return [ordered[place] for place in places if place < len(ordered)]


def point_of(size: int, runs: Sequence[Run]) -> Point:
    """The medians over the runs at one size. Raises InvalidSuite when one answered nothing."""
    for run in runs:
        if not any(answer.output_tokens for answer in answered(run)):
            why = next((answer.error for answer in run.answers if answer.error), "empty answers")
            raise InvalidSuite(f"no case got an answer at {size} at once; the first: {why}")
    latencies = [[answer.latency_s for answer in answered(run)] for run in runs]
    return Point(
        concurrency=size,
        cases=len(runs[0].answers),
        failed=sum(answer.error is not None for run in runs for answer in run.answers),
        tokens_per_s=spread([run.tokens_per_s for run in runs]),
        p50_s=median(percentile(found, 0.50) for found in latencies),
        p95_s=median(percentile(found, 0.95) for found in latencies),
    )


def answered(run: Run) -> list[Answer]:
    """The answers without an error."""
    return [answer for answer in run.answers if answer.error is None]


def _again(case: Case, number: int, suite: Suite) -> str:
    return f"{case.id}#{number // len(suite.cases) + 1}"


def _turns(sizes: Sequence[int], rounds: int) -> Iterator[int]:
    for number in range(rounds):
        yield from sizes if number % 2 == 0 else reversed(sizes)


def _run(bench: Bench, suite: Suite, size: int, count: int, progress: Progress) -> Run:
    name = bench.contender.name
    return bench.run(draw(suite, count), size, lambda _: progress.advance(name))
