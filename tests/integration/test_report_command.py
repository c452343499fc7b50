"""penstock report, on a home whose stack is down."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock_producer.cli import report as command
from penstock_producer.cli.main import run
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.words import Source
from tests.examples import NOW, an_answer
from tests.integration.test_reporting import answer_some


class Done(NamedTuple):
    status: int
    out: str
    err: str


Penstock = Callable[..., Done]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A ledger with some answers of two tiers."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    opened = Database(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    migrate(opened)
    answer_some(opened, [10**9] * 30, tenant="acme", workflow="=nightly")
    answer_some(opened, [5 * 10**9] * 30, tenant="b", tier="large")
    answer_some(opened, [0], answer=an_answer(source=Source.EXACT, saved_pusd=8 * 10**8))
    yield opened
    opened.close()


@pytest.fixture
def penstock(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Penstock:
    """The command in this process."""

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        assert isinstance(ended.value.code, int | None)
        return Done(ended.value.code or 0, *capsys.readouterr())

    return call


def test_facts_have_exact_amounts(database: Database, penstock: Penstock) -> None:
    done = penstock("report", "--json")
    facts = json.loads(done.out)
    assert done.status == 0
    assert (facts["timezone"], facts["currency"], facts["per_usd"]) == ("UTC", "USD", "1")
    [total] = facts["total"]
    assert (total["requests"], total["cost"]) == (61, "0.18")
    assert [(row["tier"], row["cost"], row["p50"]) for row in facts["by_tier"]] == [
        ("large", "0.15", "0.005"),
        ("small", "0.03", "0.001"),
    ]
    saved = {(row["what"], row["tier"]): row["saved"] for row in facts["savings"]}
    assert saved["cache, then", "small"] == "0.0008"
    assert saved["cache, now", "small"] == "0.001"
    assert saved["routing", "small"] == "0.12"
    assert saved["speculation", ""] is saved["quantization", ""] is None
    assert facts["dearest_requests"][0]["tier"] == "large"


def test_another_currency_is_exact_and_said(
    database: Database, penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_REPORT__CURRENCY", "EUR")
    monkeypatch.setenv("PENSTOCK_REPORT__PER_USD", "0.857142857143")
    facts = json.loads(penstock("report", "--json").out)
    assert Decimal(facts["total"][0]["cost"]) == Decimal("0.18") * Decimal("0.857142857143")
    assert "amounts in EUR, at 0.857142857143 for one USD" in penstock("report").out


def test_moments_are_of_the_time_zone_in_the_settings(
    database: Database, penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_REPORT__TIMEZONE", "Asia/Ho_Chi_Minh")
    until = penstock("report", "--until", "2027-01-15T15:00:00", "--json")
    since = penstock("report", "--since", "2027-01-15T08:00:00Z", "--json")
    assert json.loads(until.out)["until"] == json.loads(since.out)["since"]
    assert json.loads(until.out)["total"][0]["requests"] == 0
    assert json.loads(since.out)["total"][0]["requests"] == 61
    assert NOW == 1_800_000_000_000  # 08:00 UTC
    assert "2027-01-15 15:00:00" in penstock("report").out


def test_csv_has_a_line_for_each_value_and_no_formulas(
    database: Database, penstock: Penstock
) -> None:
    done = penstock("report", "--by", "workflow", "--by", "tier", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [(row["dimension"], row["name"], row["requests"]) for row in rows] == [
        ("total", "all", "61"),
        ("tier", "large", "30"),
        ("tier", "small", "31"),
        ("workflow", "(none)", "31"),
        ("workflow", "'=nightly", "30"),
    ]
    assert {row["currency"] for row in rows} == {"USD"}


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_figure_is_cut_off_in_a_terminal(
    database: Database, penstock: Penstock, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(command.out, "width", width)
    done = penstock("report")
    assert done.status == 0
    assert "…" not in done.out
    words = ("By tier", "large", "0.15", "What was saved", "routing", "not measured")
    assert [word for word in words if word not in done.out] == []


def test_a_page_is_written(database: Database, penstock: Penstock, tmp_path: Path) -> None:
    done = penstock("report", "--html", str(tmp_path / "report.html"))
    assert (done.status, done.out) == (0, f"written: {tmp_path / 'report.html'}\n")
    assert "Where the money went" in (tmp_path / "report.html").read_text(encoding="utf-8")
    refused = penstock("report", "--html", str(tmp_path / "no" / "where.html"))
    assert refused.status == 65
    assert "cannot be written" in refused.err


def test_an_empty_period_says_so(database: Database, penstock: Penstock) -> None:
    done = penstock("report", "--until", "2020-01-01")
    assert done.status == 0
    assert "nothing was charged in this period" in done.out
    assert penstock("report", "--until", "2020-01-01", "--csv").status == 0
    page = penstock("report", "--until", "2020-01-01", "--html", "empty.html")
    assert page.status == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--since", "yesterday"], 65),
        (["--csv", "--json"], 65),
        (["--by", "moon"], 2),
        (["--top", "0"], 2),
    ],
)
def test_wrong_usage_is_refused(
    database: Database, penstock: Penstock, arguments: list[str], status: int
) -> None:
    assert penstock("report", *arguments).status == status


def test_an_unknown_time_zone_is_refused(
    database: Database, penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_REPORT__TIMEZONE", "Mars/Olympus")
    done = penstock("report")
    assert done.status == 78
    assert "Asia/Ho_Chi_Minh" in done.err


def test_a_home_without_a_ledger_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, penstock: Penstock
) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    assert penstock("report").status == 69
