"""The memory of every process over one long batch: command, worker, engine, Redis.

docs/benchmarks.md says what is measured and how to read it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import psutil
import typer
from rich.console import Console
from rich.table import Table

from penstock_shared.cli import guarded
from penstock_shared.ledger.batches import lines as batch_lines
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.database import Database
from penstock_shared.settings import load_settings
from penstock_shared.stack import home
from penstock_shared.stack.stack import Stack

_TIER: Final = "small"
_TOML: Final = f"""
[tiers.{_TIER}]
model = "penstock-toys/small"
price_per_hour = "1.00"
max_num_seqs = 64
kv_cache_memory_bytes = 67108864
[routing]
rules = []
"""
_EVERY_S: Final = 2.0
_MIB: Final = 2**20
# Part of a command line, and what the process is; the first that fits counts.
_ROLES: Final = (
    ("penstock_workers.engine.host", "engine"),
    ("celeryd", "worker"),
    ("redis-server", "redis"),
    ("batch run", "command"),
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Sample = tuple[float, dict[str, float]]  # the share of lines that have ended, and MiB by role


@app.command()
def batch_memory(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
    lines: Annotated[int, typer.Option(min=1_000, help="lines of the file")] = 50_000,
) -> None:
    """Measure whether a process grows with the lines of a batch."""
    for variable in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        del os.environ[variable]
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        samples = list(_measure(Path(name), lines))
    facts = {
        f"{part:.0%}": {role: round(mib) for role, mib in _at(samples, part).items()}
        for part in (0.05, 0.25, 0.5, 0.75, 1.0)
    }
    if as_json:
        sys.stdout.write(json.dumps({"lines": lines, "mib": facts}) + "\n")
    else:
        _show(facts)


def _at(samples: list[Sample], part: float) -> dict[str, float]:
    """The first sample in which so many lines had ended; the command may be gone at the end."""
    whole = [sample for sample in samples if "command" in sample[1]]
    return next((mib for share, mib in whole if share >= part), whole[-1][1])


def _measure(folder: Path, lines: int) -> Iterator[Sample]:
    (folder / "penstock.toml").write_text(_TOML, encoding="utf-8")
    os.environ["PENSTOCK_CONFIG"] = str(folder / "penstock.toml")
    source = folder / "in.jsonl"
    _write(source, lines)
    with home.hold(folder):
        settings = load_settings(folder)
        stack = Stack(settings).start()
        try:
            stack.wait_ready(lambda _: None)
            yield from _run(folder, source, Database(settings.ledger), lines)
        finally:
            stack.stop()


def _run(folder: Path, source: Path, database: Database, lines: int) -> Iterator[Sample]:
    command = [str(Path(sys.executable).parent / "penstock"), "--home", str(folder), "batch", "run"]
    command += [str(source), "-o", str(folder / "out.jsonl"), "--yes", "--json"]
    say = Console(stderr=True).print
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            time.sleep(_EVERY_S)
            found = records.newest(database)
            ended = batch_lines.count(database, found[0].id).ended if found else 0
            sample = ended / lines, _memory()
            say(f"{ended:,} lines: {sample[1]}")
            yield sample
    database.close()
    if running.returncode:
        raise RuntimeError(f"penstock batch run ended with {running.returncode}")


def _memory() -> dict[str, float]:
    """What each of our descendants has to itself, in MiB."""
    found: dict[str, float] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            words = " ".join(process.cmdline())
            role = next((role for part, role in _ROLES if part in words), None)
            if role is not None:
                found[role] = found.get(role, 0.0) + process.memory_full_info().uss / _MIB
        except psutil.Error:
            continue  # it has just ended
    return {role: round(mib, 1) for role, mib in sorted(found.items())}


def _write(path: Path, lines: int) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for number in range(lines):
            prompt = f"Lan has {number} pens and buys {number % 97} more. How many pens now?"
            body = {
                "model": _TIER,
                "max_tokens": 8,
                "messages": [{"role": "user", "content": prompt}],
            }
            line = {
                "custom_id": f"line-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": body,
            }
            stream.write(json.dumps(line) + "\n")


def _show(facts: dict[str, dict[str, int]]) -> None:
    roles = sorted({role for each in facts.values() for role in each})
    table = Table("lines ended", *(f"{role}, MiB" for role in roles))
    for share, each in facts.items():
        table.add_row(share, *(f"{each.get(role, 0):,}" for role in roles))
    Console().print(table)


if __name__ == "__main__":
    guarded(app)
