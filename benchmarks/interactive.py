"""What a batch costs those who wait: interactive requests with one beside them, and without.

One engine in a process of its own, as a worker has it. Interactive requests arrive at random times,
the same ones alone, beside a batch that yields, and beside one that does not; and the batch runs
alone. docs/benchmarks.md says how to read the figures.
"""

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Final, NamedTuple

import typer
from contender import Spread
from interactive_engine import BATCH, ENGINE, STEPS_VARIABLE, read_steps
from random_model import NAME as RANDOM
from random_model import write_random_model
from rich.console import Console
from rich.table import Table
from workload import make_items

from penstock_shared.cli import guarded
from penstock_shared.request import Sampling
from penstock_shared.tier_settings import TierSettings
from penstock_workers.engine.process import EngineProcess
from penstock_workers.engine.protocol import Completion, EngineRequest
from penstock_workers.models import engine_config

_WORDS: Final = range(10, 1000)  # ids of tokens that prompts are made of
_BATCH_PROMPT: Final = (20, 80)  # tokens
_INTERACTIVE_PROMPT: Final = (10, 40)
_INTERACTIVE_ANSWER: Final = (20, 40)
_SETTLE_S: Final = 2.0  # at the start of a phase, not counted
_BOUND_S: Final = 120.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_err: Final = Console(stderr=True)


class Load(NamedTuple):
    """What is offered in a phase."""

    has_interactive: bool
    has_batch: bool
    yields: bool = True


_PHASES: Final = {
    "interactive alone": Load(has_interactive=True, has_batch=False),
    "batch alone": Load(has_interactive=False, has_batch=True),
    "both, the batch yields": Load(has_interactive=True, has_batch=True),
    "both, it does not": Load(has_interactive=True, has_batch=True, yields=False),
}
_ALONE, _BATCH_ALONE, _YIELDING, _PLAIN = _PHASES


class Phase(NamedTuple):
    """What a phase gave."""

    latencies_s: list[float]
    batch_tokens_per_s: float
    gap_tokens_per_s: float  # of the batch, in steps without interactive requests
    gap_share: float  # of the time


@app.command()
def interactive(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
    model: Annotated[str, typer.Option(help="'random', a built-in toy, or a folder")] = RANDOM,
    rate: Annotated[float, typer.Option(help="interactive requests per second")] = 3.0,
    seconds: Annotated[float, typer.Option(min=2, help="of each phase")] = 20.0,
    seats: Annotated[int, typer.Option(min=2, help="requests in the engine at once")] = 64,
    slowdown: Annotated[float, typer.Option(help="worker.interactive_slowdown")] = 1.6,
    rounds: Annotated[int, typer.Option(min=1, help="of all phases")] = 3,
) -> None:
    """Measure on this machine how far a batch slows down interactive requests."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        if model == RANDOM:
            write_random_model(Path(folder, RANDOM))
            model = str(Path(folder, RANDOM))
        with _running(Path(folder), model, seats, slowdown) as bench:
            found = [_round(bench, number, rate, seconds) for number in range(rounds)]
    figures = _figures(found)
    if as_json:
        sys.stdout.write(json.dumps({k: s.rounded(3) for k, (_, s) in figures.items()}) + "\n")
    else:
        Console().print(_table(figures))


class _Bench:
    """A loaded engine, and what is in it."""

    def __init__(self, engine: EngineProcess, steps: Path, seats: int) -> None:
        self._engine, self._steps, self._seats = engine, steps, seats
        self._changed = threading.Condition()
        self._begun: dict[str, float] = {}
        self._latencies: list[float] = []
        self._items = (item for n in range(10**6) for item in make_items(256, round_number=n))
        self._draw = random.Random(1)
        self._made = 0
        self._wants_batch = self._yields = False

    def run(self, load: Load, arrivals: Sequence[float]) -> Phase:
        """Offer a load; arrivals are seconds from the start of the phase."""
        self._latencies = []
        self._wants_batch, self._yields = load.has_batch, load.yields
        if load.has_batch:
            self._engine.submit([self._batch_line() for _ in range(self._seats)])
        time.sleep(_SETTLE_S)
        start, draw = time.monotonic(), random.Random(2)
        for after in arrivals:
            time.sleep(max(0.0, start + after - time.monotonic()))
            if load.has_interactive:
                self._engine.submit([self._interactive(draw)])
        end = time.monotonic()
        self._wants_batch = False
        with self._changed:
            if not self._changed.wait_for(lambda: not self._begun, _BOUND_S):
                raise RuntimeError("the engine does not come to an end")
        return self._phase(start, end)

    def take(self, ended: Sequence[Completion]) -> None:
        """What the engine has ended; a batch goes on as long as it is wanted."""
        now = time.monotonic()
        more = []
        with self._changed:
            for one in ended:
                begun = self._begun.pop(one.request_id)
                if not one.ending.is_answer:
                    raise RuntimeError(f"{one.request_id} ended with {one.ending} ({one.error})")
                if not one.request_id.startswith(BATCH):
                    self._latencies.append(now - begun)
                elif self._wants_batch:
                    more.append(self._batch_line())
            self._changed.notify_all()
        self._engine.submit(more)

    def _phase(self, start: float, end: float) -> Phase:
        steps = [step for step in read_steps(self._steps) if start < step.ended_s <= end]
        gaps = [step for step in steps if not step.has_interactive]
        gap_s = sum(step.took_s for step in gaps)
        return Phase(
            self._latencies,
            sum(step.batch_tokens for step in steps) / (end - start),
            sum(step.batch_tokens for step in gaps) / max(gap_s, 1e-9),
            gap_s / (end - start),
        )

    def _batch_line(self) -> EngineRequest:
        tokens = next(self._items).max_tokens
        request = self._request(BATCH, self._draw, _BATCH_PROMPT, tokens)
        return request._replace(background=self._yields)

    def _interactive(self, draw: random.Random) -> EngineRequest:
        return self._request(
            "caller-", draw, _INTERACTIVE_PROMPT, draw.randint(*_INTERACTIVE_ANSWER)
        )

    def _request(
        self, kind: str, draw: random.Random, lengths: tuple[int, int], tokens: int
    ) -> EngineRequest:
        self._made += 1
        ids = tuple(draw.choices(_WORDS, k=draw.randint(*lengths)))
        sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)
        name = f"{kind}{self._made}"
        self._begun[name] = time.monotonic()
        return EngineRequest(name, (self._made % 997 + 1, *ids), sampling, "salt")


@contextmanager
def _running(folder: Path, model: str, seats: int, slowdown: float) -> Iterator[_Bench]:
    steps = folder / "steps"
    os.environ[STEPS_VARIABLE] = str(steps)
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    cores = sorted(os.sched_getaffinity(0))
    tier = TierSettings(
        model=model,
        price_per_hour=Decimal(1),
        max_num_seqs=seats,
        kv_cache_memory_bytes=512 * 2**20,
        cpus=str(cores[0]) if len(cores) > 1 else None,
        enforce_eager=True,
    )
    config = engine_config(tier, time.monotonic_ns())._replace(interactive_slowdown=slowdown)
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[1:])
    engine = EngineProcess(config, folder / "log", host=ENGINE)
    bench = _Bench(engine, steps, seats)
    engine.wait_ready(on_completions=bench.take, on_death=_err.print)
    try:
        bench.run(_PHASES[_YIELDING], _arrivals(3.0, 3.0, 0))  # warm-up
        yield bench
    finally:
        engine.close()


def _arrivals(rate: float, seconds: float, number: int) -> list[float]:
    draw, at, found = random.Random(number), 0.0, []
    while (at := at + draw.expovariate(rate)) < seconds:
        found.append(at)
    return found


def _round(bench: _Bench, number: int, rate: float, seconds: float) -> dict[str, Phase]:
    """All phases, in an order that turns around each time: the machine's mood changes."""
    arrivals = _arrivals(rate, seconds, number)
    found = {}
    for name in list(_PHASES) if number % 2 == 0 else reversed(_PHASES):
        found[name] = phase = bench.run(_PHASES[name], arrivals)
        p50, p99 = _percentiles(phase.latencies_s)
        _err.print(
            f"{name}: p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, "
            f"batch {phase.batch_tokens_per_s:,.0f} tokens/s, in gaps "
            f"{phase.gap_tokens_per_s:,.0f} ({phase.gap_share:.0%} of the time)"
        )
    return found


def _percentiles(latencies_s: Sequence[float]) -> tuple[float, float]:
    if len(latencies_s) < 2:
        return 0.0, 0.0
    cuts = quantiles(latencies_s, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _figures(found: Sequence[dict[str, Phase]]) -> dict[str, tuple[str, Spread]]:
    """Ratios, round by round: with the batch over without it, beside callers over alone."""

    def ratio(name: str, place: int) -> Spread:
        return Spread.of(
            [
                _percentiles(r[name].latencies_s)[place]
                / _percentiles(r[_ALONE].latencies_s)[place]
                for r in found
            ]
        )

    def share(name: str, field: str) -> Spread:
        return Spread.of(
            [getattr(r[name], field) / r[_BATCH_ALONE].batch_tokens_per_s for r in found]
        )

    figures = {}
    for key, name in (("yielding", _YIELDING), ("plain", _PLAIN)):
        figures |= {
            f"p50_{key}": (f"{name}: p50 of interactive / alone", ratio(name, 0)),
            f"p99_{key}": (f"{name}: p99 of interactive / alone", ratio(name, 1)),
            f"gaps_{key}": (f"{name}: batch tokens/s in gaps", share(name, "gap_tokens_per_s")),
            f"batch_{key}": (f"{name}: batch tokens/s in all", share(name, "batch_tokens_per_s")),
        }
    return figures


def _table(figures: dict[str, tuple[str, Spread]]) -> Table:
    table = Table("a batch beside interactive requests; of what is alone", "median", "range")
    for label, spread in figures.values():
        low, high = f"{spread.lowest:.2f}", f"{spread.highest:.2f}"
        table.add_row(label, f"{spread.median:.2f}", f"{low} to {high}")
    return table


if __name__ == "__main__":
    guarded(app)
