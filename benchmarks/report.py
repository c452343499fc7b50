"""What the runs amount to: figures for a machine, a table for people."""

from typing import Any, NamedTuple

from comparing import BARE, BARRIER, ONE_AT_A_TIME, SYSTEM, Compared
from contender import Spread, ratios
from rich.table import Table
from submitting import Submitting


class Figure(NamedTuple):
    """One line of the report."""

    key: str
    label: str
    spread: Spread
    digits: int


def figures_of(bound: Compared, unbound: Compared, submitting: Submitting) -> list[Figure]:
    """Everything that was measured, in the order of the report."""
    speeds = [
        Figure(key, label, Spread.of([run.tokens_per_s for run in compared.runs[name]]), 0)
        for key, label, compared, name in (
            ("bound_tokens_per_s", "engine on one core: Penstock, tokens/s", bound, SYSTEM),
            ("bound_bare_tokens_per_s", "engine on one core: bare vLLM, tokens/s", bound, BARE),
            ("unbound_tokens_per_s", "all cores shared: Penstock, tokens/s", unbound, SYSTEM),
            ("unbound_bare_tokens_per_s", "all cores shared: bare vLLM, tokens/s", unbound, BARE),
            ("barrier_tokens_per_s", "Celery, batches of 16, tokens/s", bound, BARRIER),
            ("one_at_a_time_tokens_per_s", "Celery, one at a time, tokens/s", bound, ONE_AT_A_TIME),
        )
    ]
    cpu = bound.worker_cpu_ms_per_job
    return [
        Figure("ratio_bound", "Penstock / bare vLLM, one core", _ratio(bound, BARE), 3),
        Figure("ratio_unbound", "Penstock / bare vLLM, all cores", _ratio(unbound, BARE), 3),
        Figure("vs_barrier", "Penstock / Celery in batches of 16", _ratio(bound, BARRIER), 2),
        Figure(
            "vs_one_at_a_time", "Penstock / Celery one at a time", _ratio(bound, ONE_AT_A_TIME), 1
        ),
        Figure("submit_per_s", "submit_many, jobs/s (SQLite ledger)", submitting.submit_per_s, 0),
        Figure("send_task_per_s", "Celery send_task, jobs/s", submitting.send_task_per_s, 0),
        Figure("submit_vs_send_task", "submit_many / send_task", submitting.ratio, 2),
        Figure("worker_cpu_ms_per_job", "worker's own CPU, ms per job", Spread(cpu, cpu, cpu), 2),
        *speeds,
    ]


def facts(figures: list[Figure]) -> dict[str, Any]:
    """Medians by key, and the lowest and highest of each under ``range``."""
    return {
        **{f.key: round(f.spread.median, f.digits) for f in figures},
        "range": {
            f.key: [round(f.spread.lowest, f.digits), round(f.spread.highest, f.digits)]
            for f in figures
        },
    }


def table(figures: list[Figure]) -> Table:
    """Medians and ranges for people."""
    shown = Table(title="What the queue, the cache and the ledger cost")
    shown.add_column("")
    shown.add_column("median", justify="right")
    shown.add_column("range", justify="right")
    for _, label, spread, digits in figures:
        low, high = f"{spread.lowest:,.{digits}f}", f"{spread.highest:,.{digits}f}"
        shown.add_row(
            label, f"{spread.median:,.{digits}f}", f"{low} to {high}" if low != high else ""
        )
    return shown


def _ratio(compared: Compared, other: str) -> Spread:
    return ratios(compared.runs, SYSTEM, other)
