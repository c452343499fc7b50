"""The two comparisons: the engine on a core of its own, and all on all cores."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bare import Bare
from celery_baseline import CeleryBaseline, Order
from contender import Entry, Run, alternate
from system import TIER, System, running_system
from workload import make_items, thin

from penstock_shared.errors import SettingsError
from penstock_workers.models import engine_config, parse_cpus
from penstock_workers.rendering import Renderer

SYSTEM: Final = "penstock"
BARE: Final = "bare LLM.generate"
BARRIER: Final = "batches of 16"
ONE_AT_A_TIME: Final = "one at a time"

_WARM_UP_JOBS: Final = 48


class Plan(NamedTuple):
    """With what, and how much is run."""

    model: str
    jobs: int
    rounds: int
    barrier_jobs: int
    one_at_a_time_jobs: int

    @property
    def runs(self) -> int:
        """Runs of both comparisons, warm-ups included."""
        return (self.rounds + 1) * 6


class Compared(NamedTuple):
    """The runs of each contender, and the worker process's own CPU time per job."""

    runs: Mapping[str, list[Run]]
    worker_cpu_ms_per_job: float


def compare(
    folder: Path, plan: Plan, *, bound: bool, on_run: Callable[[str, Run], None]
) -> Compared:
    """Load all contenders, warm them up, and let them take turns.

    ``bound`` gives the engine one core and everything else the other cores; the baselines with
    plain Celery run in this comparison only.
    """
    with _affinity(bound=bound) as engine_cpus, ExitStack() as running:
        folder.mkdir()
        system = running.enter_context(running_system(folder, plan.model, engine_cpus=engine_cpus))
        entries = [
            Entry(SYSTEM, system),
            *_others(running, folder, plan, system, with_celery=bound),
        ]
        warm_up = make_items(_WARM_UP_JOBS, round_number=0)
        alternate(entries, [warm_up], on_run)
        cpu_before, jobs_before = system.worker_cpu_s, system.jobs
        rounds = [make_items(plan.jobs, round_number=n + 1) for n in range(plan.rounds)]
        runs = alternate(entries, rounds, on_run)
        cpu_s, jobs = system.worker_cpu_s - cpu_before, system.jobs - jobs_before
        return Compared(runs, cpu_s * 1000 / jobs)


def _others(
    running: ExitStack, folder: Path, plan: Plan, system: System, *, with_celery: bool
) -> list[Entry]:
    """The other contenders, with the engine settings of the system's own tier."""
    tier = system.settings.tiers[TIER]
    config = engine_config(tier, 0)
    renderer = Renderer.load(tier)
    cpus = parse_cpus(tier.cpus) if tier.cpus else tuple(os.sched_getaffinity(0))
    logs = folder / "logs"
    # The yardstick may use every core that it has; beside a queue the engine leaves one free.
    alone = config._replace(environment={**config.environment, "OMP_NUM_THREADS": str(len(cpus))})
    bare = running.enter_context(closing(Bare(alone, renderer, cpus=cpus, log=logs / "bare.log")))
    entries = [Entry(BARE, bare)]
    for name, script, jobs in (
        (BARRIER, "micro_batches.py", plan.barrier_jobs),
        (ONE_AT_A_TIME, "one_at_a_time.py", plan.one_at_a_time_jobs),
    ):
        if with_celery:
            order = Order(system.broker_url, name.replace(" ", "-"), config, cpus)
            baseline = CeleryBaseline(script, order, renderer, logs=logs)
            running.callback(baseline.stop)
            entries.append(Entry(name, baseline, lambda items, jobs=jobs: thin(items, jobs)))
    bare.wait_ready()
    system.wait_ready()
    return entries


@contextmanager
def _affinity(*, bound: bool) -> Iterator[str | None]:
    """Keep this process and its children off the first core; the engines bind themselves to it."""
    if not bound:
        yield None
        return
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        raise SettingsError("this comparison needs two CPU cores")
    first = min(cores)
    os.sched_setaffinity(0, cores - {first})
    try:
        yield str(first)
    finally:
        os.sched_setaffinity(0, cores)
