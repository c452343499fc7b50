"""What the queue, the cache and the ledger cost: tokens per second with them and without.

It starts everything that it needs in a folder of its own, and stops it. docs/benchmarks.md says
what is measured and how to read it.
"""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from comparing import Plan, compare
from contender import Run
from random_model import NAME as RANDOM
from random_model import write_random_model
from report import Figure, facts, figures_of, table
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn
from submitting import measure_submitting, redis_and_ledger

from penstock_shared.cli import guarded

_FULL: Final = Plan("", 1024, 3, barrier_jobs=192, one_at_a_time_jobs=12)
_QUICK: Final = Plan("", 96, 2, barrier_jobs=32, one_at_a_time_jobs=4)
_SUBMITS: Final = 1000
_SUBMIT_ROUNDS: Final = 5

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def throughput(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
    quick: Annotated[bool, typer.Option(help="a small version, to see that it runs")] = False,
    jobs: Annotated[int | None, typer.Option(min=16, help="jobs of one round")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="rounds of each comparison")] = None,
    model: Annotated[str, typer.Option(help="'random', a built-in toy, or a folder")] = RANDOM,
) -> None:
    """Measure Penstock against bare vLLM and against plain Celery on this machine."""
    plan = _QUICK if quick else _FULL
    plan = plan._replace(model=model, jobs=jobs or plan.jobs, rounds=rounds or plan.rounds)
    _forget_settings_of_the_caller()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # everything is stopped on the way out
    figures = _measure(plan)
    if as_json:
        sys.stdout.write(json.dumps({"jobs": plan.jobs, "model": model, **facts(figures)}) + "\n")
    else:
        Console().print(table(figures))


def _measure(plan: Plan) -> list[Figure]:
    columns = (*Progress.get_default_columns()[:2], TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        if plan.model == RANDOM:
            write_random_model(Path(folder, RANDOM))
            plan = plan._replace(model=str(Path(folder, RANDOM)))
        task = progress.add_task("engine on one core", total=plan.runs + _SUBMIT_ROUNDS)

        def on_run(name: str, run: Run) -> None:
            progress.console.print(f"{name}: {run.tokens_per_s:,.0f} tokens/s")
            progress.advance(task)

        bound = compare(Path(folder, "bound"), plan, bound=True, on_run=on_run)
        progress.update(task, description="all cores shared")
        unbound = compare(Path(folder, "unbound"), plan, bound=False, on_run=on_run)
        progress.update(task, description="accepting jobs")
        with redis_and_ledger(Path(folder, "submitting")) as settings:
            submitting = measure_submitting(
                settings,
                jobs=_SUBMITS,
                rounds=_SUBMIT_ROUNDS,
                on_round=lambda: progress.advance(task),
            )
    return figures_of(bound, unbound, submitting)


def _forget_settings_of_the_caller() -> None:
    for variable in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        del os.environ[variable]


if __name__ == "__main__":
    guarded(app)
