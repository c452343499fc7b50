"""What the semantic cache costs: searching and embedding, beside what else is used for it.

docs/benchmarks.md says what is measured and how to read it. GPTCache, usearch, and the encoder's
other backends are measured where they are installed.
"""

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import typer
from cache_encoding import Encoded, load_encoders, measure_encoding
from cache_indexes import Measured, measure_indexes
from cache_search import BATCH, GPTCACHE, LOOP, PARTITIONED, PENSTOCK, Searched, measure_search
from cache_vectors import embed_base, make_world
from contender import Spread
from rich.console import Console
from rich.table import Table

from penstock_shared.cli import guarded
from penstock_shared.settings import CacheSettings

_DIGITS: Final = 4
_LABELS: Final = {
    PENSTOCK: "Penstock, all in one partition",
    PARTITIONED: "Penstock, in 16 partitions",
    LOOP: "plain loop over entries",
    GPTCACHE: "GPTCache's store (faiss, flat)",
}


class Plan(NamedTuple):
    """How much is measured."""

    sizes: tuple[int, ...]
    rounds: int
    index_sizes: tuple[int, ...]
    questions: int


_FULL: Final = Plan((1_000, 10_000, 100_000), 11, (100_000, 300_000, 1_000_000), 640)
_QUICK: Final = Plan((1_000,), 2, (2_000,), 64)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def cache(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
    quick: Annotated[bool, typer.Option(help="a small version, to see that it runs")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="rounds of each comparison")] = None,
    indexes: Annotated[
        bool, typer.Option(help="compare indexes at up to a million entries instead")
    ] = False,
) -> None:
    """Measure the cache's search and its encoder on this machine."""
    plan = _QUICK if quick else _FULL
    plan = plan._replace(rounds=rounds or plan.rounds)
    progress = Console(stderr=True)
    facts, tables = (_indexes if indexes else _costs)(plan, progress)
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        for table in tables:
            Console().print(table)


def _costs(plan: Plan, progress: Console) -> tuple[dict[str, Any], list[Table]]:
    encoders = load_encoders(CacheSettings().encoder)
    base = embed_base(encoders["torch"])
    searched = {}
    for size in plan.sizes:
        world = make_world(base, size, plan.rounds * BATCH)
        with progress.status(f"searching {size:,} entries"):
            searched[size] = measure_search(world, plan.rounds, lambda: None)
        own = searched[size].ms[PENSTOCK].median
        progress.print(f"{size:,} entries: {own:.3f} ms per question")
    with progress.status("embedding"):
        encoded = measure_encoding(encoders, plan.rounds, lambda: None)
    facts = {
        "batch": BATCH,
        "search": {str(size): _search_facts(found) for size, found in searched.items()},
        "encoding": {name: _encoding_facts(found) for name, found in encoded.items()},
    }
    return facts, [_search_table(searched), _encoding_table(encoded)]


def _indexes(plan: Plan, progress: Console) -> tuple[dict[str, Any], list[Table]]:
    base = embed_base(load_encoders(CacheSettings().encoder)["torch"])
    table = _table("Indexes, one partition", "entries", "recall@4", "batch", "alone", "adds/s")
    facts: dict[str, Any] = {}
    for size in plan.index_sizes:
        world = make_world(base, size, plan.questions)
        for name, found in measure_indexes(world):
            table.add_row(name, f"{size:,}", *_index_cells(found))
            facts.setdefault(str(size), {})[name] = found._asdict()
            progress.print(f"{name} at {size:,}: recall {found.recall:.4f}, {found.p50_ms:.3f} ms")
    return {"batch": BATCH, "indexes": facts}, [table]


def _index_cells(found: Measured) -> tuple[str, ...]:
    return (
        f"{found.recall:.4f}",
        f"{found.p50_ms:.3f} ms",
        f"{found.single_p50_ms:.3f} ms",
        f"{found.adds_per_s:,.0f}",
    )


def _search_facts(found: Searched) -> dict[str, Any]:
    return {
        "ms_per_question": {name: s.rounded(_DIGITS) for name, s in found.ms.items()},
        "times_penstock": {name: s.rounded(2) for name, s in found.times_penstock.items()},
    }


def _encoding_facts(found: Encoded) -> dict[str, Any]:
    return {
        "identity": found.identity,
        "one_by_one_ms": found.one_by_one.rounded(_DIGITS),
        "in_batches_ms": found.in_batches.rounded(_DIGITS),
        "gain": found.gain.rounded(2),
        "largest_error_of_a_cosine": round(found.largest_error, 6),
    }


def _search_table(searched: Mapping[int, Searched]) -> Table:
    table = _table(f"Search, ms per question (batches of {BATCH})", "entries", "p50", "ratio")
    for size, found in searched.items():
        for name, spread in found.ms.items():
            ratio = found.times_penstock.get(name)
            table.add_row(
                _LABELS[name], f"{size:,}", _shown(spread, 3), _shown(ratio, 1) if ratio else ""
            )
    return table


def _encoding_table(encoded: Mapping[str, Encoded]) -> Table:
    table = _table("Embedding, ms per question", "one by one", "batches of 16", "gain", "error")
    for name, found in encoded.items():
        table.add_row(
            name,
            _shown(found.one_by_one, 2),
            _shown(found.in_batches, 2),
            _shown(found.gain, 1),
            f"{found.largest_error:.4f}",
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _shown(spread: Spread, digits: int) -> str:
    low, high = f"{spread.lowest:,.{digits}f}", f"{spread.highest:,.{digits}f}"
    return f"{spread.median:,.{digits}f} ({low} to {high})"


if __name__ == "__main__":
    guarded(app)
