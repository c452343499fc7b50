"""The page: well-formed, in need of nothing, readable without seeing the charts."""

import itertools
import re
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from penstock_producer.report.charts import chart_of
from penstock_producer.report.making import Report, make_report
from penstock_producer.report.page import page_of
from penstock_producer.report.sections import (
    OTHERS,
    Chart,
    ChartKind,
    Column,
    Currency,
    Kind,
    Section,
)
from penstock_shared.ledger.reporting.facts import Dimension, Scope
from penstock_shared.ledger.reporting.lines import Dear, Line
from penstock_shared.ledger.reporting.overview import Hits
from penstock_shared.ledger.reporting.read import Findings, Span
from penstock_shared.ledger.reporting.savings import Work
from penstock_shared.ledger.reporting.workers import TierTime

NASTY = "<script>alert('x')</script>\"&"
DAY = 20_780
NOW = DAY * 86_400_000
_VOID = {"meta", "line", "rect", "circle", "polyline"}


def a_line(key: str | int | None, amount: int = 10**9) -> Line:
    return Line(key, 40, 30, 4_000, 1_000, amount, (1, 2, 3))


def a_report() -> Report:
    whole = a_line("", 4 * 10**9)
    by = {dimension: [a_line("small"), a_line(NASTY)] for dimension in Dimension}
    by[Dimension.TENANT].append(a_line(None))
    by[Dimension.DAY] = [a_line(DAY), a_line(DAY + 40)]
    findings = Findings(
        Span(NOW, NOW + 1),
        whole,
        by,
        [a_line(0), a_line(128), a_line(4_096)],
        [Dear("job-1", NASTY, "small", "chat", NASTY, 3, 4, 5, NOW)],
        [TierTime("small", 2, 1, 3_600_000, 50, 10, 40, 0)],
        [Work("small", 40, 5_000, 10**9)],
        [Work("large", 40, 5_000, 10**10)],
        [Hits("small", 10, 100, 50, 0)],
        {"small": 9},
        [],
    )
    return make_report(
        findings,
        Scope(tenant=NASTY),
        zone=ZoneInfo("UTC"),
        currency=Currency(),
        largest="large",
        made_ms=NOW,
    )


class Reading(HTMLParser):
    """Which tags were opened and never closed, or the other way round; and all attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def page() -> str:
    return page_of(a_report())


def test_a_page_is_well_formed_and_its_ids_are_its_own(page: str) -> None:
    reading = Reading()
    reading.feed(page)
    assert (reading.open, reading.wrong) == ([], [])
    assert len(reading.ids) == len(set(reading.ids))
    labelled = [value for name, value in reading.attributes if name == "aria-labelledby"]
    assert labelled
    assert {one for value in labelled for one in (value or "").split()} <= set(reading.ids)


def test_a_page_needs_no_network_and_no_script(page: str) -> None:
    reading = Reading()
    reading.feed(page)
    assert not {"src", "href", "onclick"} & {name for name, _ in reading.attributes}
    assert not re.search(r"https?:|url\(|@import|<script", page)
    assert "default-src 'none'" in page


def test_what_callers_wrote_is_only_text(page: str) -> None:
    assert NASTY not in page
    assert "&lt;script&gt;" in page


def test_every_chart_has_a_title_words_and_a_table(page: str) -> None:
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) == 9
    for svg in drawn:
        assert re.search(r"<title [^>]+>.+</title><desc [^>]+>.+</desc>", svg)
    assert page.count("<table>") == 11


def test_days_without_charges_are_days_too() -> None:
    [days] = [section for section in a_report().sections if section.key == "by_day"]
    assert len(days.rows) == 41
    assert days.rows[1][:2] == ("2026-11-24", 0)


def a_section(kind: ChartKind, rows: list[tuple[str, int | None]]) -> Section:
    columns = (Column("name", "name", Kind.TEXT), Column("cost", "cost", Kind.MONEY))
    return Section("key", "Title", "", columns, [*rows], Chart(kind, ("cost",)))


def test_what_is_not_known_has_no_bar_and_a_loss_goes_left() -> None:
    svg = chart_of(a_section(ChartKind.BARS, [("a", 30), ("b", None), ("c", -10), (OTHERS, 20)]),
                   Currency())  # fmt: skip
    boxes = re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    assert boxes == [("c0", "90.0", "270.0"), ("bad", "0.0", "90.0"), ("rest", "90.0", "180.0")]


def test_nothing_is_drawn_of_nothing() -> None:
    assert chart_of(a_section(ChartKind.COLUMNS, []), Currency()) == ""
    assert chart_of(a_section(ChartKind.BARS, [("a", 0), ("b", None)]), Currency()) == ""


@pytest.mark.parametrize("days", [1, 2, 3, 7, 31, 366])
def test_labels_of_days_do_not_meet_and_stay_inside(days: int) -> None:
    rows: list[tuple[str, int | None]] = [(f"2026-01-{day:02}", day + 1) for day in range(days)]
    svg = chart_of(a_section(ChartKind.COLUMNS, rows), Currency())
    places = [float(x) for x in re.findall(r'<text x="([\d.]+)"[^>]+middle', svg)]
    assert places
    assert max(places) <= 340
    assert all(after - before >= 40 for before, after in itertools.pairwise(places))


@pytest.mark.parametrize("amount", [1, 12_345_678, 5 * 10**11, 99_999 * 10**12, 8 * 10**18])
def test_amounts_at_the_axis_are_whole(amount: int) -> None:
    svg = chart_of(a_section(ChartKind.COLUMNS, [("2026-01-01", amount)]), Currency())
    found = re.findall(r'<text x="([\d.]+)"[^>]+"end">([^<]+)<', svg)
    assert len(found) == 3
    assert all(float(x) >= 7.5 * len(words) for x, words in found)
