"""What a batch costs those who wait, from end to end: jobs with one beside them, and without.

A stack with one tier. Jobs come at random times through the client, alone and while a batch runs;
the batch also runs alone. docs/benchmarks.md says how to read the figures.
"""

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Final, NamedTuple

import typer
from batch_files import MODEL, write_distinct
from contender import Spread
from system import running_system
from typer.testing import CliRunner

from penstock_producer import Client
from penstock_producer.cli.main import app as penstock
from penstock_shared.cli import guarded
from penstock_shared.ledger.batches import lines, records
from penstock_shared.ledger.database import Database

_TOY: Final = "penstock-toys/large"
_SETTLE_S: Final = 3.0  # at the start of a phase, not counted
_RESULT_S: Final = 120.0
_CALLERS: Final = 32

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Phase(NamedTuple):
    """What a phase gave: seconds from submit to answer, and ended lines per second."""

    latencies_s: list[float]
    lines_per_s: float


class Bench:
    """A stack, a caller, and a batch that runs when it is told to."""

    def __init__(self, folder: Path, client: Client, database: Database) -> None:
        self._folder = folder
        self._client = client
        self._database = database
        self._files = 0

    def run(self, *, rate: float, seconds: float, with_batch: bool, number: int) -> Phase:
        """One phase; ``rate`` is jobs a second, 0 for none."""
        batch = self._begin_batch() if with_batch else None
        time.sleep(_SETTLE_S)
        before = self._ended(batch)
        start = time.perf_counter()
        latencies = self._call(rate, seconds, number)
        time.sleep(max(0.0, start + seconds - time.perf_counter()))
        ended = self._ended(batch) - before
        took = time.perf_counter() - start
        if batch is not None:
            if records.get(self._database, batch).is_loaded and ended == 0:
                raise RuntimeError("the batch was over before its phase; take more lines")
            records.cancel(self._database, batch, round(time.time() * 1000))
            while lines.count(self._database, batch).running:
                time.sleep(0.1)
        return Phase(latencies, ended / took)

    def _begin_batch(self) -> str:
        self._files += 1
        source = self._folder / f"batch-{self._files}.jsonl"
        write_distinct(source, 6_000, round_number=self._files)
        words = ["--home", str(self._folder), "batch", "submit", str(source), "--json", "--yes"]
        ended = CliRunner().invoke(penstock, words)
        if ended.exit_code:
            raise RuntimeError(ended.output[-2000:])
        return str(records.newest(self._database)[0].id)

    def _ended(self, batch: str | None) -> int:
        return 0 if batch is None else lines.count(self._database, batch).ended

    def _call(self, rate: float, seconds: float, number: int) -> list[float]:
        """Submit at random times, and wait for each answer in a thread of its own."""
        draw = random.Random(number)
        found: list[float] = []
        lock = threading.Lock()

        def one(prompt: str) -> None:
            start = time.perf_counter()
            self._client.submit(prompt, tier=MODEL, max_tokens=32, tenant="caller").result(
                _RESULT_S
            )
            with lock:
                found.append(time.perf_counter() - start)

        end = time.perf_counter() + seconds
        with ThreadPoolExecutor(_CALLERS) as pool:
            while rate and (pause := draw.expovariate(rate)) + time.perf_counter() < end:
                time.sleep(pause)
                pool.submit(one, f"Tell me a story about number {draw.random()}.")
        return found


@app.command()
def interactive_jobs(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
    rate: Annotated[float, typer.Option(help="jobs of callers a second")] = 3.0,
    seconds: Annotated[float, typer.Option(min=5, help="of each phase")] = 15.0,
    rounds: Annotated[int, typer.Option(min=1, help="of all phases")] = 2,
) -> None:
    """Measure callers' jobs and a batch, each alone and side by side, on this machine."""
    for variable in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        del os.environ[variable]
    with (
        tempfile.TemporaryDirectory(prefix="penstock-bench-") as name,
        running_system(Path(name), _TOY, engine_cpus=None) as system,
    ):
        system.wait_ready()
        database = Database(system.settings.ledger)
        with Client(system.settings) as client:
            bench = Bench(Path(name), client, database)
            bench.run(rate=rate, seconds=5, with_batch=False, number=999)
            found = [_round(bench, number, rate, seconds) for number in range(rounds)]
        database.close()
    sys.stdout.write(json.dumps(_facts(found), indent=None if as_json else 1) + "\n")


def _round(bench: Bench, number: int, rate: float, seconds: float) -> dict[str, Phase]:
    phases: dict[str, Callable[[], Phase]] = {
        "alone": lambda: bench.run(rate=rate, seconds=seconds, with_batch=False, number=number),
        "both": lambda: bench.run(rate=rate, seconds=seconds, with_batch=True, number=number),
        "batch": lambda: bench.run(rate=0, seconds=seconds, with_batch=True, number=number),
    }
    found = {}
    for name in phases if number % 2 == 0 else reversed(phases):
        found[name] = phases[name]()
        figures = [f"{value * 1000:.0f}" for value in _percentiles(found[name].latencies_s)]
        typer.echo(
            f"{name}: p50, p99 {figures} ms, {found[name].lines_per_s:.0f} lines/s", err=True
        )
    return found


def _percentiles(latencies_s: list[float]) -> tuple[float, float]:
    if len(latencies_s) < 2:
        return 0.0, 0.0
    cuts = quantiles(latencies_s, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _facts(found: list[dict[str, Phase]]) -> dict[str, dict[str, float]]:
    def ratio(place: int) -> list[float]:
        pairs = [
            (_percentiles(r["both"].latencies_s), _percentiles(r["alone"].latencies_s))
            for r in found
        ]
        return [both[place] / alone[place] for both, alone in pairs]

    speeds = [r["both"].lines_per_s / r["batch"].lines_per_s for r in found]
    return {
        "p50_ratio": Spread.of(ratio(0)).rounded(2),
        "p99_ratio": Spread.of(ratio(1)).rounded(2),
        "batch_speed": Spread.of(speeds).rounded(2),
    }


if __name__ == "__main__":
    guarded(app)
