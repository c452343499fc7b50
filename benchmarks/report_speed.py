"""How long ``penstock report`` takes over a large ledger, on SQLite and on PostgreSQL.

The ledger is made in bulk by the database itself: jobs of some tiers, tenants and workflows in 30
days, with prompts and answers of some hundred bytes. docs/benchmarks.md has the figures.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import typer
from report_ledger import END_MS, fill
from rich.console import Console

from penstock_producer.report import local
from penstock_producer.report.formats import facts_of
from penstock_producer.report.making import Report, make_report
from penstock_producer.report.page import page_of
from penstock_producer.report.sections import Currency
from penstock_shared.cli import guarded
from penstock_shared.ledger.auditing import Window
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.ledger.reporting.facts import DAY_MS, Dimension, Scope
from penstock_shared.ledger.reporting.read import read_findings
from penstock_shared.stack.postgres_server import PostgresServer

_ZONE: Final = ZoneInfo("Europe/Berlin")
_err: Final = Console(stderr=True)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Kind(StrEnum):
    """A database."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class Question(NamedTuple):
    """What is asked, and how it is called in the figures."""

    name: str
    scope: Scope
    dimensions: tuple[Dimension, ...] = tuple(Dimension)


_QUESTIONS: Final = (
    Question("everything", Scope()),
    Question("by tier", Scope(), (Dimension.TIER,)),
    Question("one tenant", Scope(tenant="tenant-3")),
    Question("the last day", Scope(Window(END_MS - DAY_MS, END_MS))),
)


@app.command()
def report_speed(
    *,
    charges: Annotated[int, typer.Option(min=1)] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    only: Annotated[Kind | None, typer.Option(help="one database only")] = None,
    keep: Annotated[Path | None, typer.Option(help="write the page of the whole ledger")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
) -> None:
    """Measure how long a report takes on this machine."""
    found: dict[str, Any] = {"charges": charges, "rounds": rounds}
    for kind in Kind if only is None else [only]:
        with _ledger(kind) as database:
            start = time.perf_counter()
            fill(database, charges)
            _err.print(f"{kind}: {charges:,} charges made in {time.perf_counter() - start:.1f} s")
            for question in _QUESTIONS:
                found[f"{kind} {question.name}"] = seconds = _timed(database, question, rounds)
                print(f"{kind:<11} {question.name:<13} {statistics.median(seconds):7.2f} s "
                      f"({min(seconds):.2f} to {max(seconds):.2f})", flush=True)  # fmt: skip
            if keep is not None:
                keep.write_text(page_of(_made(database, _QUESTIONS[0])), encoding="utf-8")
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")


def _timed(database: Database, question: Question, rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        made = _made(database, question)
        page_of(made)
        facts_of(made)
        taken.append(time.perf_counter() - start)
    return taken


def _made(database: Database, question: Question) -> Report:
    findings = read_findings(
        database,
        question.scope,
        offsets=lambda span: local.offsets(span, _ZONE),
        dimensions=question.dimensions,
    )
    return make_report(
        findings,
        question.scope,
        zone=_ZONE,
        currency=Currency(),
        largest="large",
        made_ms=END_MS,
    )


@contextmanager
def _ledger(kind: Kind) -> Iterator[Database]:
    """A ledger with its tables, for as long as the block lasts."""
    if kind is Kind.SQLITE:
        with tempfile.TemporaryDirectory(prefix="penstock-report-") as folder:
            yield from _migrated(f"sqlite:///{folder}/ledger.db")
        return
    server = PostgresServer()
    try:
        server.start()
        yield from _migrated(server.create("report"))
    finally:
        server.stop()
        server.remove()


def _migrated(url: str) -> Iterator[Database]:
    database = Database(url)
    migrate(database)
    try:
        yield database
    finally:
        database.close()


if __name__ == "__main__":
    guarded(app)
