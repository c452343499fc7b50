"""Reports of evaluations as they could come out, made up."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from penstock_shared.words import TaskType
from penstock_workers.evals.batching.report import BatchingReport, Point, knee_of
from penstock_workers.evals.quality.scores import EngineFacts, QualityReport, scores_of
from penstock_workers.evals.reports import Spread
from penstock_workers.evals.speculation.advice import LEAST_GAIN, recommend
from penstock_workers.evals.speculation.report import Measurement, SpeculationReport, Variant

CASES: Final = 100
SHARES: Final[Mapping[str, Sequence[float]]] = {
    "large": (0.92, 0.81, 0.88, 0.86, 0.79, 0.95, 0.9),
    "large int8": (0.91, 0.80, 0.88, 0.87, 0.78, 0.94, 0.9),
    "large int4": (0.86, 0.62, 0.66, 0.84, 0.75, 0.7, 0.88),
    "small": (0.55, 0.2, 0.12, 0.7, 0.4, 0.35, 0.86),
}
SCORED: Final = tuple(task for task in TaskType if task is not TaskType.CREATIVE)
BYTES: Final = {"large": 16.1e9, "large int8": 8.6e9, "large int4": 5.2e9, "small": 1.1e9}
SPEED: Final = {"large": 1480.0, "large int8": 2210.0, "large int4": 2890.0, "small": 9100.0}
SIZES: Final = (1, 4, 16, 64)


def a_quality_report(engines: Sequence[str] = tuple(SHARES)) -> QualityReport:
    """Four engines on seven task types: int8 loses nothing, int4 some, the small one much."""
    verdicts = {
        task: {engine: _verdicts(SHARES[engine][n], n) for engine in engines}
        for n, task in enumerate(SCORED)
    }
    return QualityReport(
        suite="our-prompts.jsonl",
        suite_digest="0123456789abcdef",
        reference=engines[0],
        engines=tuple(_facts(engine) for engine in engines),
        scores=scores_of(verdicts, engines[0]),
        unscored=(TaskType.CREATIVE,),
        refused=(),
    )


def a_speculation_report(tasks: Sequence[TaskType] = tuple(TaskType)) -> SpeculationReport:
    """Three variants: drafting pays off in small batches, and where answers repeat the prompt."""
    variants = [
        _variant("draft_model", 2, model="llama-draft"),
        _variant("draft_model", 4, model="llama-draft"),
        _variant("ngram", 4, prompt_lookup_max=4),
    ]
    rows = [
        _measurement(variant, task, size)
        for variant in variants
        for task in tasks
        for size in SIZES
    ]
    return SpeculationReport(
        suite="our-prompts.jsonl",
        suite_digest="0123456789abcdef",
        baseline="large alone",
        model="our-large",
        options={"max_num_seqs": 128},
        variants=tuple(variants),
        batch_sizes=SIZES,
        rounds=3,
        in_turn=False,
        max_num_seqs=128,
        least_gain=LEAST_GAIN,
        measurements=tuple(rows),
        baseline_changed=3,
        baseline_compared=1200,
        recommendation=recommend(variants, rows, 128),
    )


def a_batching_report(kv_cache_tokens: int | None = 400_000) -> BatchingReport:
    """Throughput that grows up to 64 sequences, and latency that grows from there on."""
    found = []
    for power in range(9):
        size = 2**power
        speed = 4200 * size / (size + 22)
        wait = 90 * size / speed
        found.append(
            Point(
                concurrency=size,
                cases=max(16, 3 * size),
                failed=0,
                tokens_per_s=Spread(median=speed, low=0.95 * speed, high=1.03 * speed),
                p50_s=wait,
                p95_s=2.2 * wait + 0.1,
            )
        )
    return BatchingReport(
        suite="our-prompts.jsonl",
        suite_digest="0123456789abcdef",
        engine="large",
        model="our-large",
        options={"max_num_seqs": 256},
        rounds=3,
        kv_cache_tokens=kv_cache_tokens,
        mean_tokens=812.4,
        points=tuple(found),
        knee=knee_of(found),
    )


def _verdicts(share: float, seed: int) -> list[bool]:
    """The same cases are hard for all engines, so that shares are compared case by case."""
    rng = Random(seed)
    return [rng.random() < share for _ in range(CASES)]


def _facts(engine: str) -> EngineFacts:
    return EngineFacts(
        name=engine,
        model=engine.replace(" ", "-"),
        identity={"model": engine},
        options={"max_num_seqs": 64},
        tokens_per_s=SPEED[engine],
        tokens_per_s_by_task={},
        weights_bytes=int(BYTES[engine]),
        kv_cache_tokens=round(60e9 / BYTES[engine]) * 16_000,
    )


def _variant(method: str, tokens: int, **config: object) -> Variant:
    config = {"method": method, **config, "num_speculative_tokens": tokens}
    return Variant(name=f"{method} {tokens}", speculative_config=config)


def _measurement(variant: Variant, task: TaskType, size: int) -> Measurement:
    place = list(TaskType).index(task)
    tokens = variant.speculative_config["num_speculative_tokens"]
    if variant.speculative_config["method"] == "ngram":
        rate = (0.1, 0.62, 0.3, 0.12, 0.7, 0.5, 0.04, 0.08)[place]
        cost = 0.03
    else:
        rate = (0.7, 0.68, 0.75, 0.6, 0.55, 0.5, 0.3, 0.66)[place] - 0.05 * (tokens - 2)
        cost = 0.1
    length = 1 + sum(rate**n for n in range(1, tokens + 1))
    gain = length / (1 + cost * tokens + 0.009 * size * tokens)
    alone = 60 * size**0.8
    return Measurement(
        variant=variant.name,
        task_type=task,
        batch_size=size,
        cases=max(8, 2 * size),
        failed=0,
        baseline_tokens_per_s=alone,
        tokens_per_s=alone * gain,
        speed_up=Spread(median=gain, low=0.94 * gain, high=1.05 * gain),
        acceptance_rate=rate,
        accepted_length=length,
        changed=1 if size == 64 else 0,
        compared=3 * max(8, 2 * size),
        baseline_s=100 * 80 / alone,
    )
