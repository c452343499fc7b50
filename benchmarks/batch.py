"""``penstock batch run`` against vLLM's own batch runner: same model, same files, one run.

Loading is left out of both. docs/benchmarks.md says what is measured and how to read it.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from batch_files import MODEL, lines_of, write_distinct, write_repeating
from contender import Spread
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner
from vllm_run_batch import RunBatch

from penstock_producer.cli.main import app as penstock
from penstock_shared.cli import guarded
from penstock_shared.settings import load_settings
from penstock_shared.stack import home
from penstock_shared.stack.stack import Stack
from penstock_workers.models import locate

_ENGINE: Final = {
    "max_model_len": 2048,
    "max_num_seqs": 64,
    "kv_cache_memory_bytes": 256 * 2**20,
}
_WARM_LINES: Final = 64
_SAME: Final = 0.9  # rounding depends on who shares a step; a reworded line may end otherwise
_TOY: Final = "penstock-toys/large"
_ACCEPTED: Final = 10  # times as many lines to see how fast the ledger takes them

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Pair(NamedTuple):
    """Seconds for one file, and how many of its lines the cache answered."""

    penstock_s: float
    runner_s: float
    cached: int

    @property
    def ratio(self) -> float:
        """How many times as fast as the runner."""
        return self.runner_s / self.penstock_s


class Bench:
    """A running stack beside a loaded runner."""

    def __init__(self, folder: Path, runner: RunBatch) -> None:
        self._folder = folder
        self._runner = runner
        self._files = 0

    def compare(self, write: Callable[[Path], None]) -> Pair:
        """Both work through one file, one after the other; who begins changes each time."""
        self._files += 1
        source = self._folder / f"in-{self._files}.jsonl"
        write(source)
        if self._files % 2:
            mine, theirs = self._penstock(source), self._theirs(source)
        else:
            theirs, mine = self._theirs(source), self._penstock(source)
        return Pair(mine, theirs, self._check(source))

    def _penstock(self, source: Path) -> float:
        """The whole command."""
        run = ("--home", str(self._folder), "batch", "run", str(source))
        out = str(source.with_suffix(".out"))
        tenant = source.stem  # nothing is cached from another file
        return _invoke(*run, "-o", out, "--tenant", tenant, "--json")

    def _theirs(self, source: Path) -> float:
        return self._runner.run(source, source.with_suffix(".runner"))

    def _check(self, source: Path) -> int:
        """Both answered every line, about equally; returns how many of ours were cached."""
        wanted = {line["custom_id"] for line in lines_of(source)}
        ours = lines_of(source.with_suffix(".out"))
        texts = _texts(ours), _texts(lines_of(source.with_suffix(".runner")))
        same = sum(texts[0].get(key) == texts[1].get(key) for key in wanted)
        if not wanted == texts[0].keys() == texts[1].keys() or same < _SAME * len(wanted):
            raise RuntimeError(f"only {same} lines were answered alike; this measures nothing")
        return sum(line["penstock"]["cached"] for line in ours)


def _invoke(*words: str) -> float:
    """Seconds of one command, whose packages are imported already."""
    start = time.perf_counter()
    ended = CliRunner().invoke(penstock, words)
    seconds = time.perf_counter() - start
    if ended.exit_code:
        raise RuntimeError(f"penstock {' '.join(words)}: {ended.output[-2000:]}")
    return seconds


def _accepted(folder: Path, lines: int, rounds: int) -> list[float]:
    """Lines a second that one command checks and brings into a ledger that has no workers."""
    _configure(folder)
    on_home = ("--home", str(folder))
    _invoke(*on_home, "migrate")
    speeds = []
    for number in range(rounds):
        source = folder / f"in-{number}.jsonl"
        write_distinct(source, lines, round_number=number)
        speeds.append(lines / _invoke(*on_home, "batch", "submit", str(source)))
    return speeds


def _texts(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {
        line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"]
        for line in lines
    }


@app.command()
def batch(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
    lines: Annotated[int, typer.Option(min=30, help="lines of a file")] = 2_000,
    rounds: Annotated[int, typer.Option(min=1, help="files of each kind")] = 5,
) -> None:
    """Measure penstock batch run against vLLM's run_batch on this machine."""
    for variable in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        del os.environ[variable]
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        distinct, repeating = _measure(Path(name), lines, rounds)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        accepted = _accepted(Path(name), _ACCEPTED * lines, rounds)
    facts = {
        "lines": lines,
        "ratio_distinct": _spread(pair.ratio for pair in distinct),
        "ratio_repeating": _spread(pair.ratio for pair in repeating),
        "lines_per_s": _spread(lines / pair.penstock_s for pair in distinct),
        "runner_lines_per_s": _spread(lines / pair.runner_s for pair in distinct),
        "accepted_per_s": _spread(accepted),
        "cached_share_distinct": _spread(pair.cached / lines for pair in distinct),
        "cached_share_repeating": _spread(pair.cached / lines for pair in repeating),
    }
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        _show(facts)


def _configure(folder: Path) -> None:
    """Our commands, and their children, read a file that has one tier."""
    toml = folder / "penstock.toml"
    options = "\n".join(f"{name} = {value}" for name, value in _ENGINE.items())
    toml.write_text(
        f'[tiers.{MODEL}]\nmodel = "{_TOY}"\nprice_per_hour = "1.00"\n{options}\n'
        "[routing]\nrules = []\n",
        encoding="utf-8",
    )
    os.environ["PENSTOCK_CONFIG"] = str(toml)


def _measure(folder: Path, lines: int, rounds: int) -> tuple[list[Pair], list[Pair]]:
    _configure(folder)
    say = Console(stderr=True).print
    log = folder / "runner.log"
    named = {**_ENGINE, "served_model_name": MODEL}
    with home.hold(folder), RunBatch(locate(_TOY), named, log) as runner:
        stack = Stack(load_settings(folder)).start()
        try:
            stack.wait_ready(lambda _: None)
            runner.wait_ready()
            bench = Bench(folder, runner)
            bench.compare(lambda path: write_distinct(path, _WARM_LINES, round_number=999))
            pairs: tuple[list[Pair], list[Pair]] = ([], [])
            for number in range(rounds):
                for kind, write in enumerate((write_distinct, write_repeating)):
                    pair = bench.compare(
                        lambda path, n=2 * number + kind, w=write: w(path, lines, round_number=n)
                    )
                    say(f"{write.__name__}: {pair}")
                    pairs[kind].append(pair)
            return pairs
        finally:
            stack.stop()


def _spread(values: Any) -> dict[str, float]:
    return Spread.of(list(values)).rounded(3)


def _show(facts: dict[str, Any]) -> None:
    table = Table("figure", "median", "lowest", "highest")
    for name, spread in facts.items():
        if isinstance(spread, dict):
            table.add_row(name, *(f"{value:,.3f}" for value in spread.values()))
    Console().print(table)


if __name__ == "__main__":
    guarded(app)
