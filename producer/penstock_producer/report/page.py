"""A report as one HTML page that needs nothing else: no network, no script."""

from collections.abc import Iterator
from fractions import Fraction
from html import escape
from importlib.resources import files
from typing import Final

from penstock_producer.report import local
from penstock_producer.report.charts import chart_of
from penstock_producer.report.making import Report
from penstock_producer.report.sections import Cell, Column, Currency, Kind, Section, shown
from penstock_producer.report.words import about, period

_STYLE: Final = "page.css"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page_of(report: Report) -> str:
    """The whole page."""
    style = (files("penstock_producer.report") / _STYLE).read_text(encoding="utf-8")
    sections = "".join(_section(each, report.currency) for each in report.sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Where the money went: {escape(period(report))}</title>"
        f"<style>{style}</style></head>\n<body>{_head(report)}"
        f"<main>{sections}</main><footer>Made by penstock report on "
        f"{escape(local.local_text(report.made_ms, report.zone))} ({escape(report.zone.key)})."
        "</footer></body></html>\n"
    )


def _head(report: Report) -> str:
    figures = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in _figures(report)
    )
    return (
        f"<header><h1>Where the money went</h1><p class=period>{escape(period(report))}</p>"
        f"<p>{escape(about(report))}.</p><dl>{figures}</dl></header>\n"
    )


def _figures(report: Report) -> Iterator[tuple[str, str]]:
    """What the boss reads."""
    whole, money = report.total, report.currency.short
    code = report.currency.code
    yield f"charged, {code}", money(whole.amount_pusd)
    yield "requests answered", f"{whole.requests:,}"
    if whole.requests:
        yield "of them from the cache", f"{1 - whole.by_engine / whole.requests:.1%}"
    for name, pusd in (
        ("a request, mean", whole.mean_pusd),
        ("1,000 tokens", whole.per_1000_tokens_pusd),
    ):
        if pusd is not None:
            yield f"{name}, {code}", money(pusd)
    workers = next(section for section in report.sections if section.key == "workers")
    paid, idle = (_sum(workers, name) for name in ("paid", "idle"))
    if paid:
        yield f"paid for workers, {code}", money(round(paid))
        yield "of that idle", f"{float(idle / paid):.1%}"


def _sum(section: Section, name: str) -> Fraction:
    place = section.place(name)
    return sum((Fraction(row[place] or 0) for row in section.rows), Fraction(0))


def _section(section: Section, currency: Currency) -> str:
    title = escape(section.title)
    if any(column.kind is Kind.MONEY for column in section.columns):
        title += f" <small>{currency.code}</small>"
    drawn = chart_of(section, currency)
    figure = f"<figure>{drawn}</figure>" if drawn else ""
    note = f"<p>{escape(section.note)}</p>" if section.note else ""
    table = _table(section, currency) if section.rows else "<p>Nothing in this period.</p>"
    return f'<section id="{section.key}"><h2>{title}</h2>{note}{figure}{table}</section>\n'


def _table(section: Section, currency: Currency) -> str:
    head = "".join(
        f'<th scope="col"{_css(column)}>{escape(column.title)}</th>' for column in section.columns
    )
    body = "".join(_row(section.columns, row, currency) for row in section.rows)
    return (
        f'<div class=scroll tabindex=0 role=region aria-label="{escape(section.title)}, table">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(columns: tuple[Column, ...], row: tuple[Cell, ...], currency: Currency) -> str:
    cells = []
    for place, (column, cell) in enumerate(zip(columns, row, strict=True)):
        tag = 'th scope="row"' if place == 0 else "td"
        text = escape(shown(cell, column.kind, currency))
        cells.append(f"<{tag}{_css(column)}>{text}</{tag[:2]}>")
    return f"<tr>{''.join(cells)}</tr>"


def _css(column: Column) -> str:
    """Long words may break; numbers stand right."""
    if column.name == "basis":
        return " class=words"
    return "" if column.kind is Kind.TEXT else " class=number"
