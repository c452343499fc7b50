"""``penstock report``: where the money went, and what was saved."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich import box
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from penstock_producer.cli.facts import on_one_line, open_ledger, print_json
from penstock_producer.report import local
from penstock_producer.report.formats import csv_of, facts_of
from penstock_producer.report.making import Report, make_report
from penstock_producer.report.page import page_of
from penstock_producer.report.sections import Column, Currency, Kind, Section, shown
from penstock_producer.report.words import about, period
from penstock_shared import clock
from penstock_shared.cli import settings_of
from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger.auditing import Window
from penstock_shared.ledger.reporting.facts import Dimension, Scope
from penstock_shared.ledger.reporting.read import read_findings
from penstock_shared.settings import Settings

REPORT_EXAMPLES: Final = (
    "Examples: penstock report --since 2026-11-01 --until 2026-12-01; "
    "penstock report --html november.html; penstock report --by tenant --csv"
)
out = Console(highlight=False, emoji=False)
_DAYS_SHOWN: Final = 31
_LEAST: Final = (
    "share",
    "hours",
    "p99",
    "waste",
    "without_engine",
    "mean",
    "per_1000_tokens",
    "lives",
)
_WORDS: Final = 20  # of a text that is folded where there is no more room
_MARGIN: Final = 4


class By(StrEnum):
    """The dimensions, as they are typed."""

    TIER = "tier"
    TASK_TYPE = "task-type"
    TENANT = "tenant"
    WORKFLOW = "workflow"
    DAY = "day"
    SOURCE = "source"


def report(
    since: Annotated[str | None, typer.Option(help="from this moment on, like 2026-11-01")] = None,
    until: Annotated[str | None, typer.Option(help="until before this, like 2026-12-01")] = None,
    tenant: Annotated[str | None, typer.Option(help="only of this tenant")] = None,
    tier: Annotated[str | None, typer.Option(help="only of this tier")] = None,
    by: Annotated[list[By] | None, typer.Option(help="only so divided; may repeat")] = None,
    top: Annotated[
        int, typer.Option(min=1, max=1000, help="tenants, workflows, requests to list")
    ] = 10,
    html: Annotated[Path | None, typer.Option(help="write a page with charts")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="print the breakdowns as CSV")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print facts as one JSON line")] = False,
) -> None:
    """Say where the money went, what requests cost, and what was saved.

    A request counts when it was answered. Moments without a zone are of report.timezone.
    """
    if as_csv and as_json:
        raise InvalidRequest("say --csv or --json, not both")
    settings = settings_of()
    zone = ZoneInfo(settings.report.timezone)
    window = Window(local.moment(since, "--since", zone), local.moment(until, "--until", zone))
    dimensions = [Dimension(each.value.replace("-", "_")) for each in by or By]
    made = _made(settings, zone, Scope(window, tenant, tier), dimensions, top)
    if html is not None:
        _write(html, page_of(made))
    if as_json:
        print_json(facts_of(made))
    elif as_csv:
        sys.stdout.write(csv_of(made))
    elif html is None:
        _print(made)
    else:
        out.print(f"written: {html}", markup=False, soft_wrap=True)


def _made(
    settings: Settings, zone: ZoneInfo, scope: Scope, dimensions: list[Dimension], top: int
) -> Report:
    with open_ledger() as database:
        findings = read_findings(
            database,
            scope,
            offsets=lambda span: local.offsets(span, zone),
            dimensions=dimensions,
            top=top,
        )
    return make_report(
        findings,
        scope,
        zone=zone,
        currency=Currency(settings.report.currency, settings.report.per_usd),
        largest=settings.largest_tier,
        made_ms=clock.now_ms(),
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"--html {path} cannot be written: {error.strerror}") from None


def _print(made: Report) -> None:
    heading = f"[bold]Where the money went[/], {period(made)}"
    out.print(heading, soft_wrap=True)
    out.print(escape(on_one_line(about(made))), soft_wrap=True)
    if not made.total.requests:
        out.print("nothing was charged in this period")
    for section in made.sections:
        if section.rows:
            out.print()
            out.print(_table(section, made))
            if section.note:
                out.print(f"[dim]{escape(section.note)}[/]")


def _table(section: Section, made: Report) -> Table:
    title = f"{section.title}, {made.currency.code}" if _has_money(section) else section.title
    rows = section.rows
    if section.key == "by_day" and len(rows) > _DAYS_SHOWN:
        title += f" (the last {_DAYS_SHOWN} of {len(rows)} days)"
        rows = rows[-_DAYS_SHOWN:]
    cells = [
        [
            on_one_line(shown(cell, column.kind, made.currency))
            for cell, column in zip(row, section.columns, strict=True)
        ]
        for row in rows
    ]
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    places = _fitting(section.columns, cells)
    for place in places:
        column = section.columns[place]
        justify: JustifyMethod = "left" if column.kind is Kind.TEXT else "right"
        table.add_column(column.title, justify=justify, overflow="fold")
    for row_cells in cells:
        table.add_row(*(escape(row_cells[place]) for place in places))
    return table


def _fitting(columns: tuple[Column, ...], cells: list[list[str]]) -> list[int]:
    """The columns that a terminal has room for; the least important ones go first."""
    places = [place for place, column in enumerate(columns) if column.is_narrow]

    def width(place: int) -> int:
        longest = max(map(len, (columns[place].title, *(row[place] for row in cells))))
        return (min(longest, _WORDS) if columns[place].kind is Kind.TEXT else longest) + 1

    for name in _LEAST:
        if sum(map(width, places)) + _MARGIN <= out.width:
            break
        places = [place for place in places if columns[place].name != name]
    return places


def _has_money(section: Section) -> bool:
    return any(column.kind is Kind.MONEY for column in section.columns)
