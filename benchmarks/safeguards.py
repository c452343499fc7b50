"""What heartbeat, fencing and outbox cost: jobs per second with all of them, and without.

The engine is the drill's, which takes no time worth speaking of, so that what is measured is the
machinery around it, at its worst. docs/reliability.md says how to read the figures.
"""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final
from unittest.mock import patch

import typer
from contender import Entry, Run, Spread, alternate, ratios
from rich.console import Console
from rich.progress import track
from rich.table import Table
from unsafe_worker import SAFEGUARDS, VARIABLE
from workload import Item

from penstock_producer import Client
from penstock_shared.cli import guarded
from penstock_shared.ledger import accepting
from penstock_shared.stack import home
from penstock_workers.drill.stack import DrillStack

_ALL: Final = "with all of them"
_RESULT_S: Final = 120.0
_CAPACITY: Final = 64


class Service:
    """A stack with one worker; a round goes from the first submit to the last answer."""

    def __init__(self, client: Client, *, has_outbox: bool) -> None:
        self._client = client
        self._has_outbox = has_outbox
        self._jobs = 0

    def run(self, items: Sequence[Item]) -> Run:
        """Submit as many jobs as there are items, and take in all answers."""
        prompts = [f"drill {self._jobs + n:06} tokens=1" for n in range(len(items))]
        self._jobs += len(prompts)
        start = time.perf_counter()
        with ExitStack() if self._has_outbox else patch.object(accepting, "mark_published"):
            return self._run(prompts, start)

    def _run(self, prompts: Sequence[str], start: float) -> Run:
        jobs = self._client.submit_many(prompts, max_tokens=1)
        answered = sum(1 for r in self._client.as_completed(jobs, _RESULT_S) if r.text)
        seconds = time.perf_counter() - start
        if answered != len(prompts):
            raise RuntimeError("a job has no answer; this measures nothing")
        return Run(answered, seconds)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def safeguards(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
    jobs: Annotated[int, typer.Option(min=16, help="jobs of one round")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="rounds")] = 7,
    ledger: Annotated[str, typer.Option(help="sqlite or postgresql")] = "postgresql",
) -> None:
    """Measure what the safeguards cost on this machine."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # everything is stopped on the way out
    runs = _measure(jobs, rounds, "sqlite" if ledger == "sqlite" else "postgresql")
    spreads = {name: ratios(runs, _ALL, name) for name in runs if name != _ALL}
    speed = Spread.of([run.tokens_per_s for run in runs[_ALL]])
    if as_json:
        figures = {name: spread.rounded(3) for name, spread in spreads.items()}
        line = {"ledger": ledger, "jobs": jobs, "jobs_per_s": speed.rounded(0), "ratio": figures}
        sys.stdout.write(json.dumps(line) + "\n")
    else:
        Console().print(_table(speed, spreads))


def _measure(jobs: int, rounds: int, ledger: str) -> Mapping[str, list[Run]]:
    """Load all contenders, warm them up, and let them take turns."""
    contenders = {_ALL: (), **{f"without {n}": (n,) for n in SAFEGUARDS}}
    contenders["without any"] = tuple(SAFEGUARDS)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, ExitStack() as running:
        Path(folder).chmod(0o755)  # PostgreSQL may have to run as somebody else
        entries = [
            Entry(name, running.enter_context(_service(Path(folder, str(n)), ledger, without)))
            for n, (name, without) in enumerate(contenders.items())
        ]
        item = [Item("", 1)] * jobs
        alternate(entries, [item[:200]], lambda *_: None)
        steps = iter(track(range(rounds * len(entries)), "measuring", console=Console(stderr=True)))
        return alternate(entries, [item] * rounds, lambda *_: next(steps, None))


@contextmanager
def _service(folder: Path, ledger: str, without: Sequence[str]) -> Iterator[Service]:
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    os.environ[VARIABLE] = ",".join(without)
    with home.hold(folder), ExitStack() as running:
        stack = DrillStack(
            folder,
            workers=1,
            ledger="sqlite" if ledger == "sqlite" else "postgresql",
            worker_settings={"lease_s": 15, "heartbeat_s": 2, "sweep_s": 5},
            max_num_seqs=_CAPACITY,
            worker_module="unsafe_worker",
        )
        running.callback(stack.stop)
        stack.start().wait_ready()
        client = running.enter_context(Client(stack.settings))
        yield Service(client, has_outbox="outbox" not in without)


def _table(speed: Spread, spreads: Mapping[str, Spread]) -> Table:
    shown = Table(title=f"Jobs per second with all safeguards: {speed.median:,.0f}")
    for column in ("compared with a system", "median", "range"):
        shown.add_column(column)
    for name, spread in spreads.items():
        shown.add_row(name, f"{spread.median:.3f}", f"{spread.lowest:.3f} to {spread.highest:.3f}")
    return shown


if __name__ == "__main__":
    guarded(app)
