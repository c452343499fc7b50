"""The demo's summary: its numbers are those of the ledger, and its claims are lower bounds."""

import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from penstock_producer.demo.summary import (
    all_on_largest,
    percentile,
    pick_samples,
    show_summary,
    summarize,
)
from penstock_producer.demo.traffic import DemoPrompt, load_prompts
from penstock_shared.ledger.worker_time import Books
from penstock_shared.result import Result
from penstock_shared.settings import Settings
from penstock_shared.words import JobState, Source, TaskType

Make = Callable[..., Settings]


def a_result(**changes: Any) -> Result:
    values: dict[str, Any] = {
        "job_id": "a-job",
        "status": JobState.SUCCEEDED,
        "text": "An answer.",
        "tier": "small",
        "reason": "a rule",
        "task_type": TaskType.FACTUAL_QA,
        "tenant": "default",
        "source": Source.ENGINE,
        "prompt_tokens": 6,
        "completion_tokens": 4,
        "latency_ms": 100,
        "charge_usd": Decimal("0.01"),
        "metadata": {"demo": "d1"},
    }
    return Result(**{**values, **changes})


def a_hit(**changes: Any) -> Result:
    return a_result(source=Source.EXACT, charge_usd=Decimal(0), **changes)


def a_prompt(**changes: Any) -> DemoPrompt:
    values: dict[str, Any] = {
        "id": "d1",
        "messages": [{"role": "user", "content": "How much is 2 + 2?"}],
        "max_tokens": 8,
        "task_type": "reasoning",
        "language": "en",
    }
    return DemoPrompt.model_validate({**values, **changes})


@pytest.mark.parametrize(
    ("ordered", "share", "value"),
    [
        ([7], 0.5, 7),
        ([1, 2], 0.5, 1),
        ([1, 2, 3], 0.5, 2),
        (list(range(1, 101)), 0.95, 95),
        (list(range(1, 21)), 0.95, 19),
        (list(range(1, 22)), 0.95, 20),
        ([1, 2, 3], 1.0, 3),
        ([1, 2, 3], 0.0, 1),
    ],
)
def test_a_percentile_is_a_value_that_occurred(
    ordered: list[int], share: float, value: int
) -> None:
    assert percentile(ordered, share) == value


@given(st.lists(st.integers(0, 10**6), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_with_its_share_below(
    values: list[int], percent: int
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent / 100)
    assert sum(value <= found for value in ordered) * 100 >= percent * len(ordered)
    assert sum(value < found for value in ordered) * 100 < percent * len(ordered)


def test_a_tiers_line_adds_up_its_jobs() -> None:
    line = summarize(
        "small",
        [
            a_result(latency_ms=300),
            a_hit(latency_ms=10),
            a_result(status=JobState.FAILED, text=None, source=None, latency_ms=None,
                     prompt_tokens=None, completion_tokens=None, charge_usd=None),
        ],
    )  # fmt: skip
    assert (line.tier, line.jobs, line.hits) == ("small", 3, 1)
    assert (line.p50_ms, line.p95_ms) == (10, 300)
    assert (line.prompt_tokens, line.completion_tokens, line.cost) == (12, 8, Decimal("0.01"))


def test_the_same_engine_time_costs_the_largest_tiers_price(make_settings: Make) -> None:
    results = [a_result(charge_usd=Decimal("0.02")), a_result(tier="large")]
    # small costs 0.40 an hour and large 4.00
    assert all_on_largest(make_settings(), results) == Decimal("0.21")


def test_cached_answers_would_have_cost_what_their_tokens_cost_elsewhere(
    make_settings: Make,
) -> None:
    results = [a_result(tier="large"), a_hit(tier="large", prompt_tokens=26)]
    assert all_on_largest(make_settings(), results) == Decimal("0.04")


def test_a_tier_that_answered_nothing_itself_is_left_out(make_settings: Make) -> None:
    assert all_on_largest(make_settings(), [a_hit()]) == 0
    assert all_on_largest(make_settings(), []) == 0


def test_samples_differ_in_task_type_and_begin_with_a_cached_answer() -> None:
    results = [
        *(a_result(task_type=t, job_id=t.value) for t in TaskType for _ in range(2)),
        a_hit(job_id="exact", task_type=TaskType.CHAT),
        a_hit(job_id="semantic", task_type=TaskType.CODE).model_copy(
            update={"source": Source.SEMANTIC}
        ),
    ]
    samples = pick_samples(results)
    assert samples[0].job_id == "semantic"
    assert len(samples) == len({sample.task_type for sample in samples}) == 5


def test_without_a_semantic_hit_an_exact_one_is_shown() -> None:
    samples = pick_samples([a_result(), a_hit(job_id="exact", task_type=TaskType.CHAT)])
    assert [sample.job_id for sample in samples] == ["exact", "a-job"]


def test_what_has_no_answer_is_no_sample() -> None:
    assert pick_samples([a_result(status=JobState.FAILED, text=None)]) == []
    assert pick_samples([]) == []


@pytest.mark.parametrize(
    ("check", "answer", "verdict"),
    [
        ("exact", " FOUR. ", True),
        ("exact", "It is four.", False),
        ("contains", "It is Four.", True),
        ("contains", "It is five.", False),
        (None, "It is four.", None),
    ],
)
def test_an_answer_is_judged_where_there_is_one_right_answer(
    check: str | None, answer: str, verdict: bool | None
) -> None:
    assert a_prompt(expect="Four.", check=check).is_right(answer) is verdict


def test_the_demos_own_prompts_can_be_sent() -> None:
    prompts = load_prompts()
    assert len({prompt.id for prompt in prompts}) == len(prompts) > 100
    for prompt in prompts:
        assert prompt.request().metadata == {"demo": prompt.id}


def shown(settings: Settings, prompts: list[DemoPrompt], results: list[Result]) -> str:
    out = io.StringIO()
    books = [Books("small-1", 100_000_000, 60_000_000, 10_000_000, 30_000_000, has_ended=True)]
    show_summary(Console(file=out, width=200), settings, prompts, results, books)
    return out.getvalue()


def test_the_summary_shows_tiers_savings_quality_and_a_bill_that_adds_up(
    make_settings: Make,
) -> None:
    text = shown(
        make_settings(),
        [a_prompt(expect="4", check="contains")],
        [a_result(text="It is 4."), a_result(text="It is 5.")],
    )
    assert "1 of the 2 answers that can be checked are right." in text
    assert "saved 90%" in text
    assert "$0.000100" in text
    assert "$0.000000" in text.splitlines()[-2]


def test_jobs_without_an_answer_are_told(make_settings: Make) -> None:
    failed = a_result(status=JobState.FAILED, text=None, source=None, charge_usd=None, latency_ms=5)
    assert "1 jobs have no answer" in shown(make_settings(), [a_prompt()], [a_result(), failed])


def test_brackets_in_prompts_and_answers_are_text(make_settings: Make) -> None:
    prompt = a_prompt(messages=[{"role": "user", "content": "What is [/dim] in [red]?"}])
    text = shown(make_settings(), [prompt], [a_result(text="[bold]x[/bold] a[0]")])
    assert "What is [/dim] in [red]?" in text
    assert "[bold]x[/bold] a[0]" in text


def test_a_long_prompt_is_shown_with_its_beginning_and_its_end(make_settings: Make) -> None:
    content = f"Begin. {'word ' * 200} End?"
    prompt = a_prompt(messages=[{"role": "user", "content": content}])
    text = " ".join(shown(make_settings(), [prompt], [a_result()]).split())
    assert "Begin." in text
    assert "End?" in text
    assert "…" in text
