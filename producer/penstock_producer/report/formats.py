"""A report as JSON facts and as CSV, for programs."""

import csv
import io
from typing import Any, Final

from penstock_producer.report.making import Report
from penstock_producer.report.sections import Section, fact
from penstock_shared import clock

_BREAKDOWN: Final = "by_"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def facts_of(report: Report) -> dict[str, Any]:
    """Everything in the report; money is exact decimals in strings, in its currency."""
    window = report.scope.window
    head = {
        "made": clock.to_iso(report.made_ms),
        "since": _iso(window.since_ms),
        "until": _iso(window.until_ms),
        "first_charge": _iso(report.first_ms),
        "last_charge": _iso(report.last_ms),
        "tenant": report.scope.tenant,
        "tier": report.scope.tier,
        "timezone": report.zone.key,
        "currency": report.currency.code,
        "per_usd": f"{report.currency.per_usd:f}",
    }
    return {**head, **{each.key: _rows(each, report) for each in report.sections}}


def csv_of(report: Report) -> str:
    """One line for each value of each breakdown: dimension, name, and then its figures."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    breakdowns = [s for s in report.sections if s.key.startswith(_BREAKDOWN) or s.key == "total"]
    names = [column.name for column in breakdowns[0].columns[1:]]
    writer.writerow(["dimension", "name", *names, "currency"])
    for section in breakdowns:
        dimension = section.key.removeprefix(_BREAKDOWN)
        for row in _rows(section, report):
            label, *cells = row.values()
            writer.writerow([dimension, _harmless(str(label)), *cells, report.currency.code])
    return text.getvalue()


def _rows(section: Section, report: Report) -> list[dict[str, Any]]:
    return [
        {
            column.name: fact(cell, column.kind, report.currency)
            for column, cell in zip(section.columns, row, strict=True)
        }
        for row in section.rows
    ]


def _harmless(text: str) -> str:
    """Callers name tenants and workflows, and a spreadsheet must not compute with these."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _iso(ms: int | None) -> str | None:
    return None if ms is None else clock.to_iso(ms)
