"""From measurements to where speculation is worth it. Pure functions.

vLLM looks the number of speculative tokens up by the number of requests in a step, so one schedule
serves all task types of a tier. Zero tokens is allowed, but no engine without speculation: a draft
model still reads every token along, to be ready when the batch gets small again. What that costs
is measured by a variant whose schedule is zero for all sizes.
"""

import json
import math
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, Final

from penstock_shared.speculative_options import SCHEDULE
from penstock_workers.evals.speculation.report import (
    Advice,
    Measurement,
    Recommendation,
    Step,
    Variant,
)

TOKENS: Final = "num_speculative_tokens"
LEAST_GAIN: Final = 0.05
MOST_LOSS: Final = 0.02


def recommend(
    variants: Sequence[Variant],
    measurements: Sequence[Measurement],
    max_num_seqs: int,
    least_gain: float = LEAST_GAIN,
) -> Recommendation:
    """Say where each variant is worth it, and find the best setting for all task types together.

    A gain counts from ``least_gain`` on: 0.05 is 5 % more tokens per second. Only variants that
    differ in nothing but the number of tokens can share a schedule; the family whose schedule has
    the best geometric mean of speed-ups over the measured batch sizes is taken, if it pays: a gain
    at some size, and at none of them a loss of more than ``MOST_LOSS``. A tier is dearest when it
    is busy, so a gain when it is idle does not make up for a loss then.
    """
    families: dict[str, list[Variant]] = {}
    for variant in variants:
        if tokens_of(variant.speculative_config) is not None:
            families.setdefault(family_of(variant.speculative_config), []).append(variant)
    plans = [(family, best_steps(family, measurements, least_gain)) for family in families.values()]
    paying = [plan for plan in plans if _pays(plan[1], least_gain)]
    advice = tuple(_advice(variants, measurements, least_gain))
    family, steps = max(paying or plans, key=lambda plan: _gain(plan[1]), default=([], ()))
    config: dict[str, Any] | None = None
    if paying:
        config = configuration(family[0].speculative_config, steps, max_num_seqs)
    return Recommendation(
        advice=advice,
        steps=steps,
        speculative_config=config,
        off_measured=any(tokens_of(variant.speculative_config) == 0 for variant in family),
    )


def tokens_of(config: Mapping[str, Any]) -> int | None:
    """The number of tokens that is drafted in batches of any size; None: it depends on the size."""
    if SCHEDULE not in config:
        return int(config[TOKENS])
    return None if any(tokens for _, _, tokens in config[SCHEDULE]) else 0


def family_of(config: Mapping[str, Any]) -> str:
    """What variants have in common that can share a schedule."""
    common = {name: value for name, value in config.items() if name not in {TOKENS, SCHEDULE}}
    return json.dumps(common, sort_keys=True)


def best_steps(
    family: Sequence[Variant], measurements: Sequence[Measurement], least_gain: float
) -> tuple[Step, ...]:
    """The best number of tokens at each measured batch size, over the suite's mix.

    It has to gain over zero tokens, which are as fast as the baseline or as was measured.
    """
    names = {variant.name: tokens_of(variant.speculative_config) or 0 for variant in family}
    ours = [row for row in measurements if row.variant in names]
    steps = []
    for size in sorted({row.batch_size for row in ours}):
        off = 1.0
        speed_up, tokens = 0.0, 0
        for name, number in sorted(names.items(), key=lambda pair: pair[1]):
            gain = mix_speed_up([r for r in ours if (r.variant, r.batch_size) == (name, size)])
            if number == 0:
                off = gain
            elif gain > speed_up:  # of equal gains the one with fewer tokens
                speed_up, tokens = gain, number
        if speed_up < off * (1 + least_gain):
            speed_up, tokens = off, 0
        steps.append(Step(batch_size=size, tokens=tokens, speed_up=speed_up))
    return tuple(steps)


def mix_speed_up(rows: Sequence[Measurement]) -> float:
    """Speed-up over the task types of the suite, each with the baseline's seconds as weight."""
    before = sum(row.baseline_s for row in rows)
    after = sum(row.baseline_s / row.speed_up.median for row in rows)
    return before / after if after else 0.0


def configuration(
    config: Mapping[str, Any], steps: Sequence[Step], max_num_seqs: int
) -> dict[str, Any] | None:
    """The speculative_config that follows the steps; None when no step speculates."""
    most = max((step.tokens for step in steps), default=0)
    if most == 0:
        return None
    plain = {name: value for name, value in config.items() if name != SCHEDULE} | {TOKENS: most}
    schedule = schedule_of(steps, max_num_seqs)
    return plain if len(schedule) == 1 else {**plain, SCHEDULE: schedule}


def schedule_of(steps: Sequence[Step], max_num_seqs: int) -> list[list[int]]:
    """Ranges of batch sizes with their number of tokens, as vLLM takes them.

    A measured size speaks for the sizes up to the geometric middle to the next one, the first for
    all below it and the last for all above it; neighbours with the same number are one range.
    """
    ends = [math.isqrt(a.batch_size * b.batch_size) for a, b in pairwise(steps)]
    ends.append(max(max_num_seqs, steps[-1].batch_size))
    schedule: list[list[int]] = []
    first = 1
    for tokens, group in groupby(zip(steps, ends, strict=True), key=lambda pair: pair[0].tokens):
        end = list(group)[-1][1]
        schedule.append([first, end, tokens])
        first = end + 1
    return schedule


def _advice(
    variants: Sequence[Variant], measurements: Sequence[Measurement], least_gain: float
) -> list[Advice]:
    task_types = dict.fromkeys(row.task_type for row in measurements)
    found = []
    for variant in variants:
        for task_type in task_types:
            rows = [
                r for r in measurements if (r.variant, r.task_type) == (variant.name, task_type)
            ]
            up_to = 0
            for row in sorted(rows, key=lambda row: row.batch_size):
                if row.speed_up.median < 1 + least_gain:
                    break
                up_to = row.batch_size
            found.append(Advice(variant=variant.name, task_type=task_type, up_to=up_to))
    return found


def _pays(steps: Sequence[Step], least_gain: float) -> bool:
    gains = any(step.tokens and step.speed_up >= 1 + least_gain for step in steps)
    return gains and all(step.speed_up >= 1 - MOST_LOSS for step in steps)


def _gain(steps: Sequence[Step]) -> float:
    """The geometric mean of the speed-ups."""
    return math.prod(step.speed_up for step in steps) ** (1 / max(1, len(steps)))
