"""From measurements of speculation to where it is worth it, and to a schedule."""

from typing import Any

import pytest

from penstock_shared.speculative_options import SCHEDULE
from penstock_shared.words import TaskType
from penstock_workers.evals.reports import Spread
from penstock_workers.evals.speculation.advice import (
    TOKENS,
    best_steps,
    configuration,
    recommend,
    schedule_of,
)
from penstock_workers.evals.speculation.report import (
    Measurement,
    Step,
    Variant,
)
from penstock_workers.evals.speculation.variants import (
    variant_of,
)
from tests.scripted_bench import a_contender

DRAFT = {"method": "draft_model", "model": "penstock-toys/draft"}
NGRAM = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 4}


def a_variant(tokens: int, **config: Any) -> Variant:
    config = {**(config or DRAFT), "num_speculative_tokens": tokens}
    return Variant(name=f"{config['method']} {tokens}", speculative_config=config)


def a_row(
    variant: Variant,
    batch_size: int,
    speed_up: float,
    task_type: TaskType = TaskType.CODE,
    baseline_s: float = 10.0,
) -> Measurement:
    return Measurement(
        variant=variant.name,
        task_type=task_type,
        batch_size=batch_size,
        cases=8,
        failed=0,
        baseline_tokens_per_s=100.0,
        tokens_per_s=100.0 * speed_up,
        speed_up=Spread(median=speed_up, low=speed_up, high=speed_up),
        acceptance_rate=0.5,
        accepted_length=2.0,
        changed=0,
        compared=8,
        baseline_s=baseline_s,
    )


def test_advice_is_up_to_the_first_batch_without_gain() -> None:
    two = a_variant(2)
    rows = [a_row(two, 1, 1.6), a_row(two, 4, 1.05), a_row(two, 16, 1.04), a_row(two, 64, 1.5)]
    assert recommend([two], rows, 64).advice[0].text == "on up to batch 4"
    rows[0] = a_row(two, 1, 0.9)
    assert recommend([two], rows, 64).advice[0].text == "off"


def test_the_schedule_takes_the_best_number_at_each_size() -> None:
    two, four = a_variant(2), a_variant(4)
    rows = [
        *(a_row(four, size, gain) for size, gain in ((1, 1.8), (4, 1.3), (16, 0.9), (64, 0.5))),
        *(a_row(two, size, gain) for size, gain in ((1, 1.4), (4, 1.35), (16, 1.1), (64, 0.8))),
    ]
    found = recommend([two, four], rows, 256)
    assert [step.tokens for step in found.steps] == [4, 2, 2, 0]
    assert found.speculative_config == {
        **DRAFT,
        "num_speculative_tokens": 4,
        "num_speculative_tokens_per_batch_size": [[1, 2, 4], [3, 32, 2], [33, 256, 0]],
    }
    assert found.toml == (
        'speculative_config = { method = "draft_model", model = "penstock-toys/draft", '
        "num_speculative_tokens = 4, "
        "num_speculative_tokens_per_batch_size = [[1, 2, 4], [3, 32, 2], [33, 256, 0]] }"
    )


def test_the_schedule_is_one_that_vllm_takes() -> None:
    steps = [Step(batch_size=size, tokens=n, speed_up=1.5) for size, n in ((2, 3), (3, 0), (9, 1))]
    schedule = schedule_of(steps, 4)
    assert schedule == [[1, 2, 3], [3, 5, 0], [6, 9, 1]]
    variant_of(a_contender(), configuration(DRAFT, steps, 4) or {})


def test_one_number_for_all_sizes_needs_no_schedule() -> None:
    two = a_variant(2)
    found = recommend([two], [a_row(two, 1, 1.5), a_row(two, 16, 1.2)], 64)
    assert found.speculative_config == two.speculative_config


def test_without_gain_it_is_left_off() -> None:
    two = a_variant(2)
    found = recommend([two], [a_row(two, 1, 1.04), a_row(two, 16, 0.7)], 64)
    assert found.speculative_config is None
    assert found.toml is None
    assert [step.speed_up for step in found.steps] == [1.0, 1.0]


def test_methods_do_not_share_a_schedule() -> None:
    two, ngram = a_variant(2), a_variant(4, method="ngram", prompt_lookup_max=4)
    rows = [a_row(two, 1, 1.3), a_row(two, 16, 1.1), a_row(ngram, 1, 1.4), a_row(ngram, 16, 0.9)]
    found = recommend([two, ngram], rows, 64)
    assert found.speculative_config == two.speculative_config


def test_a_variant_with_a_schedule_is_judged_but_makes_none() -> None:
    fixed = {**DRAFT, "num_speculative_tokens_per_batch_size": [[1, 4, 2]]}
    scheduled = a_variant(2, **fixed)
    found = recommend([scheduled], [a_row(scheduled, 1, 1.5)], 64)
    assert found.advice[0].up_to == 1
    assert found.speculative_config is None


def test_zero_in_a_schedule_costs_what_was_measured() -> None:
    two = a_variant(2)
    idle = Variant(
        name="draft 0", speculative_config={**two.speculative_config, SCHEDULE: [[1, 1, 0]]}
    )
    gains = ((1, 1.6, 0.99), (4, 1.07, 0.99), (16, 0.7, 0.98))
    rows = [
        row for size, ours, off in gains for row in (a_row(two, size, ours), a_row(idle, size, off))
    ]
    found = recommend([two, idle], rows, 64)
    assert [(step.tokens, step.speed_up) for step in found.steps] == [
        (2, 1.6),
        (2, 1.07),
        (0, 0.98),
    ]
    assert found.off_measured
    assert found.speculative_config == {**DRAFT, TOKENS: 2, SCHEDULE: [[1, 8, 2], [9, 64, 0]]}


def test_a_gain_when_idle_does_not_make_up_for_a_loss_when_busy() -> None:
    two = a_variant(2)
    idle = Variant(
        name="draft 0", speculative_config={**two.speculative_config, SCHEDULE: [[1, 1, 0]]}
    )
    rows = [a_row(two, 1, 2.0), a_row(idle, 1, 0.9), a_row(two, 16, 0.6), a_row(idle, 16, 0.9)]
    found = recommend([two, idle], rows, 64)
    assert [(step.tokens, step.speed_up) for step in found.steps] == [(2, 2.0), (0, 0.9)]
    assert found.speculative_config is None


def test_a_method_that_pays_goes_before_one_that_gains_more_and_loses_somewhere() -> None:
    draft, ngram = a_variant(2), a_variant(4, method="ngram", prompt_lookup_max=4)
    rows = [
        *(a_row(draft, 1, 3.0), a_row(draft, 16, 0.9)),
        *(a_row(ngram, 1, 1.1), a_row(ngram, 16, 1.0)),
    ]
    idle = Variant(
        name="draft 0", speculative_config={**draft.speculative_config, SCHEDULE: [[1, 1, 0]]}
    )
    rows += [a_row(idle, 1, 0.7), a_row(idle, 16, 0.7)]
    found = recommend([draft, ngram, idle], rows, 16)
    assert found.speculative_config is not None
    assert found.speculative_config["method"] == "ngram"


def test_the_mix_counts_a_task_type_by_its_time() -> None:
    two = a_variant(2)
    rows = [
        a_row(two, 1, 2.0, TaskType.CODE, baseline_s=30.0),
        a_row(two, 1, 0.5, TaskType.CHAT, baseline_s=1.0),
    ]
    (step,) = best_steps([two], rows, 0.05)
    assert step.speed_up == pytest.approx(31 / (15 + 2))
    rows[1] = a_row(two, 1, 0.5, TaskType.CHAT, baseline_s=30.0)
    assert best_steps([two], rows, 0.05)[0].tokens == 0
