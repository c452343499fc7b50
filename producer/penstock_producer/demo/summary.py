"""The demo's summary: what was asked, what it cost, what it would have cost."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from penstock_producer.demo.traffic import DemoPrompt
from penstock_shared import money
from penstock_shared.ledger.worker_time import Books
from penstock_shared.result import Result
from penstock_shared.settings import Settings
from penstock_shared.words import JobState, TaskType

_SAMPLES = 5
_SAMPLE_CHARS = 180


class TierSummary(NamedTuple):
    """One tier's line."""

    tier: str
    jobs: int
    p50_ms: int
    p95_ms: int
    prompt_tokens: int
    completion_tokens: int
    hits: int
    cost: Decimal


def summarize(tier: str, results: Sequence[Result]) -> TierSummary:
    """The line of one tier (results of at least one job)."""
    latencies = sorted(r.latency_ms or 0 for r in results)
    return TierSummary(
        tier,
        len(results),
        percentile(latencies, 0.50),
        percentile(latencies, 0.95),
        sum(r.prompt_tokens or 0 for r in results),
        sum(r.completion_tokens or 0 for r in results),
        sum(r.cached for r in results),
        _charged(results),
    )


def percentile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least ``share`` of the ordered values do not exceed."""
    place = max(0, -(-len(ordered) * round(share * 100) // 100) - 1)
    return ordered[place]


def all_on_largest(settings: Settings, results: Sequence[Result]) -> Decimal:
    """What all jobs had cost on the largest tier without a cache, at the least.

    Every job the engine answered is taken to need the same engine time there, at that tier's
    hourly price (a larger model needs more, so this is a lower bound); every cached answer the
    mean of those of its own tier, by tokens.
    """
    dearest = settings.tiers[settings.largest_tier].price_per_hour
    total = Decimal(0)
    for tier, config in settings.tiers.items():
        group = [r for r in results if r.tier == tier]
        generated = [r for r in group if not r.cached]
        tokens = sum(_tokens(r) for r in generated)
        if tokens and config.price_per_hour:
            share = Decimal(sum(_tokens(r) for r in group)) / tokens
            total += _charged(generated) * share * dearest / config.price_per_hour
    return total


def show_summary(
    out: Console,
    settings: Settings,
    prompts: Sequence[DemoPrompt],
    results: Sequence[Result],
    books: Sequence[Books],
) -> None:
    """Print everything."""
    out.print()
    out.print(_tiers_table(settings, results))
    out.print(_comparison(settings, results))
    out.print(_quality(prompts, results))
    out.print()
    _show_samples(out, prompts, results)
    out.print(_bill_table(books))


def _tiers_table(settings: Settings, results: Sequence[Result]) -> Table:
    table = Table(title="What went where", title_justify="left", title_style="bold")
    for column in ("tier", "jobs", "p50", "p95", "tokens", "cached", "cost"):
        table.add_column(column, justify="left" if column == "tier" else "right")
    groups = {tier: [r for r in results if r.tier == tier] for tier in settings.tiers}
    for tier, group in groups.items():
        if group:
            table.add_row(*_cells(summarize(tier, group)))
    table.add_section()
    table.add_row(*_cells(summarize("all", results)), style="bold")
    return table


def _cells(line: TierSummary) -> list[str]:
    return [
        line.tier,
        f"{line.jobs:,}",
        f"{line.p50_ms / 1000:.2f} s",
        f"{line.p95_ms / 1000:.2f} s",
        f"{line.prompt_tokens:,} + {line.completion_tokens:,}",
        f"{line.hits:,} ({line.hits / line.jobs:.0%})",
        f"${line.cost:.6f}",
    ]


def _comparison(settings: Settings, results: Sequence[Result]) -> str:
    paid, instead = _charged(results), all_on_largest(settings, results)
    if not instead:
        return f"Charged ${paid:.6f}."
    return (
        f"Charged [bold]${paid:.6f}[/]. Everything on {settings.largest_tier} without a cache: at "
        f"least [bold]${instead:.6f}[/] (the same engine time at its price per hour), so routing "
        f"and cache saved [bold green]{1 - paid / instead:.0%}[/]."
    )


def _quality(prompts: Sequence[DemoPrompt], results: Sequence[Result]) -> str:
    by_id = {prompt.id: prompt for prompt in prompts}
    verdicts = [by_id[str(r.metadata["demo"])].is_right(r.text or "") for r in results]
    judged = [verdict for verdict in verdicts if verdict is not None]
    failed = sum(r.status is not JobState.SUCCEEDED for r in results)
    right = f"{sum(judged)} of the {len(judged)} answers that can be checked are right"
    return f"{right}; {failed} jobs have no answer." if failed else f"{right}."


def _show_samples(out: Console, prompts: Sequence[DemoPrompt], results: Sequence[Result]) -> None:
    by_id = {prompt.id: prompt for prompt in prompts}
    for result in pick_samples(results):
        question = by_id[str(result.metadata["demo"])].messages[-1].content
        source = f"cache ({result.source})" if result.cached else "engine"
        out.print(
            Panel(
                f"[bold]{_short(question)}[/]\n{_short(result.text or '')}\n"
                f"[dim]{result.tier}: {result.reason} · {source} · "
                f"{(result.latency_ms or 0) / 1000:.2f} s · ${result.charge_usd:.9f}[/]",
                padding=(0, 1),
            )
        )


def pick_samples(results: Sequence[Result]) -> list[Result]:
    """Five answers that differ in task type, one of them from the cache when there is one."""
    answered = [r for r in results if r.text]
    cached = next((r for r in answered if r.source == "semantic"), None) or next(
        (r for r in answered if r.cached), None
    )
    picked = [cached] if cached else []
    for task_type in (
        TaskType.CODE, TaskType.REASONING, TaskType.TRANSLATION, TaskType.LONG_CONTEXT,
        TaskType.SUMMARIZATION, TaskType.FACTUAL_QA,
    ):  # fmt: skip
        fitting = (r for r in answered if r.task_type == task_type and not r.cached)
        sample = next(fitting, None)
        if sample is not None and all(task_type != other.task_type for other in picked):
            picked.append(sample)
    return picked[:_SAMPLES]


def _bill_table(books: Sequence[Books]) -> Table:
    table = Table(title="The bill adds up", title_justify="left", title_style="bold")
    for column in ("worker", "price x time", "charged", "waste", "idle", "difference"):
        table.add_column(column, justify="left" if column == "worker" else "right")
    for book in books:
        table.add_row(book.worker_id, *_amounts(book))
    table.add_section()
    total = Books(
        "all",
        sum(book.paid_pusd for book in books),
        sum(book.charged_pusd for book in books),
        sum(book.waste_pusd for book in books),
        sum(book.idle_pusd for book in books),
        has_ended=all(book.has_ended for book in books),
    )
    table.add_row(total.worker_id, *_amounts(total), style="bold")
    return table


def _amounts(book: Books) -> list[str]:
    parts = (
        book.paid_pusd,
        book.charged_pusd,
        book.waste_pusd,
        book.idle_pusd,
        book.difference_pusd,
    )
    return [f"${money.to_usd(part):.6f}" for part in parts]


def _short(text: str) -> str:
    """The text, or its beginning and its end, where the question of a long prompt stands."""
    if len(text) > _SAMPLE_CHARS:
        line, half = " ".join(text.split()), _SAMPLE_CHARS // 2
        text = f"{line[:half]} … {line[-half:]}"
    return escape(text.strip())


def _charged(results: Sequence[Result]) -> Decimal:
    return sum((r.charge_usd or Decimal(0) for r in results), Decimal(0))


def _tokens(result: Result) -> int:
    return (result.prompt_tokens or 0) + (result.completion_tokens or 0)
