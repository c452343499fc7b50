"""What a report reads of a ledger, on each kind of database."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import inspect

from penstock_producer.report import local
from penstock_shared import clock
from penstock_shared.ledger import accepting, auditing, settling, worker_time
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.auditing import Window
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.reporting.facts import DAY_MS, Dimension, Scope
from penstock_shared.ledger.reporting.overview import Hits
from penstock_shared.ledger.reporting.read import Findings, Span, read_findings
from penstock_shared.ledger.reporting.savings import Manner, Work
from penstock_shared.ledger.reporting.workers import TierTime
from penstock_shared.ledger.settling import Account, Answer
from penstock_shared.ledger.worker_time import Spent
from penstock_shared.words import Source
from tests.examples import NOW, WORKER, a_draft, an_answer, claim_some, succeeded

HOUR_MS = 3_600_000
EVERYTHING = Scope()


def answer_some(
    database: Database,
    costs: Sequence[int],
    *,
    answer: Answer | None = None,
    now_ms: int = NOW,
    tier: str = "small",
    worker_id: str = WORKER,
    **fields: str,
) -> list[str]:
    """Jobs that were answered at some moment, and what each cost in picodollars."""
    drafts = [a_draft(f"What is {number}?", tier=tier, **fields) for number in range(len(costs))]
    accepted = accepting.accept(database, drafts, now_ms)
    job_ids = [each.job_id for each in accepted if isinstance(each, Accepted)]
    claims = claim_some(database, job_ids, worker_id=worker_id, now_ms=now_ms)
    settled = [
        succeeded(claim, cost, answer=answer or an_answer())
        for claim, cost in zip(claims, costs, strict=True)
    ]
    settling.settle(database, Account(worker_id, tier), settled, now_ms)
    return job_ids


def read(
    database: Database, scope: Scope = EVERYTHING, zone: str = "UTC", top: int = 10
) -> Findings:
    return read_findings(
        database, scope, offsets=lambda span: local.offsets(span, ZoneInfo(zone)), top=top
    )


def costs_by(findings: Findings, dimension: Dimension) -> list[tuple[str | int | None, int, int]]:
    return [(line.key, line.requests, line.amount_pusd) for line in findings.by[dimension]]


def test_an_empty_ledger_has_nothing_to_report(database: Database) -> None:
    findings = read(database)
    assert findings.span is None
    assert findings.total.requests == 0
    assert findings.total.per_1000_tokens_pusd is None
    assert all(lines == [] for lines in findings.by.values())


def test_money_is_divided_in_each_way_and_adds_up(database: Database) -> None:
    answer_some(database, [100, 200], tenant="acme", workflow="nightly")
    answer_some(database, [5_000], tier="large", tenant="acme")
    answer_some(database, [0], tenant="b", answer=an_answer(source=Source.EXACT, saved_pusd=90))
    findings = read(database)
    assert costs_by(findings, Dimension.TIER) == [("large", 1, 5_000), ("small", 3, 300)]
    assert costs_by(findings, Dimension.TENANT) == [("acme", 3, 5_300), ("b", 1, 0)]
    assert costs_by(findings, Dimension.WORKFLOW) == [("", 2, 5_000), ("nightly", 2, 300)]
    assert costs_by(findings, Dimension.SOURCE) == [("engine", 3, 5_300), ("exact", 1, 0)]
    assert costs_by(findings, Dimension.TASK_TYPE) == [("factual_qa", 4, 5_300)]
    for lines in findings.by.values():
        assert sum(line.amount_pusd for line in lines) == findings.total.amount_pusd == 5_300
        assert sum(line.tokens for line in lines) == findings.total.tokens == 4 * 12
    assert (findings.total.by_engine, findings.total.mean_pusd) == (3, 1_325)
    assert findings.total.per_1000_tokens_pusd == round(5_300_000 / 48)


def test_percentiles_are_right_within_a_hundredth(database: Database) -> None:
    costs = [7 + number**3 for number in range(200)]
    answer_some(database, costs)
    [line] = read(database).by[Dimension.TIER]
    assert line.percentiles_pusd is not None
    for found, rank in zip(line.percentiles_pusd, (100, 190, 198), strict=True):
        assert found == pytest.approx(costs[rank - 1], rel=0.01)


def test_what_is_not_listed_is_in_one_line(database: Database) -> None:
    for number in range(5):
        answer_some(database, [number * 100], workflow=f"run-{number}")
    lines = read(database, top=2).by[Dimension.WORKFLOW]
    assert [(line.key, line.requests, line.amount_pusd) for line in lines] == [
        ("run-4", 1, 400),
        ("run-3", 1, 300),
        (None, 3, 300),
    ]


def test_a_day_begins_where_the_report_is_read(database: Database) -> None:
    midnight = NOW - NOW % DAY_MS
    for hours in (0, 17, 23):
        answer_some(database, [1], now_ms=midnight + hours * HOUR_MS)
    day = midnight // DAY_MS
    by_day = {zone: costs_by(read(database, zone=zone), Dimension.DAY)
              for zone in ("UTC", "Asia/Ho_Chi_Minh", "America/New_York")}  # fmt: skip
    assert by_day == {
        "UTC": [(day, 3, 3)],
        "Asia/Ho_Chi_Minh": [(day, 1, 1), (day + 1, 2, 2)],
        "America/New_York": [(day - 1, 1, 1), (day, 2, 2)],
    }


def test_days_are_right_on_both_sides_of_a_change_of_clocks(database: Database) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    begin, end = (clock.from_datetime(datetime(2026, 10, day, tzinfo=berlin)) for day in (25, 26))
    assert end - begin == 25 * HOUR_MS
    for moment in (begin - 1, begin, end - 1, end):
        answer_some(database, [1], now_ms=moment)
    day = end // DAY_MS
    assert costs_by(read(database, zone="Europe/Berlin"), Dimension.DAY) == [
        (day - 1, 1, 1),
        (day, 2, 2),
        (day + 1, 1, 1),
    ]


def test_a_scope_is_a_window_a_tenant_and_a_tier(database: Database) -> None:
    answer_some(database, [1], tenant="acme")
    answer_some(database, [20], tenant="acme", tier="large")
    answer_some(database, [300], tenant="b", now_ms=NOW + 1_000)
    for scope, expected in (
        (Scope(), 321),
        (Scope(Window(None, NOW + 1_000)), 21),
        (Scope(Window(NOW + 1, None)), 300),
        (Scope(tenant="acme"), 21),
        (Scope(tier="small"), 301),
        (Scope(tenant="acme", tier="large"), 20),
        (Scope(tenant="nobody"), 0),
    ):
        assert read(database, scope).total.amount_pusd == expected
    assert read(database, Scope(Window(NOW + 1, None))).span == Span(NOW + 1_000, NOW + 1_000)


def test_prices_are_measured_on_all_tenants_and_tiers(database: Database) -> None:
    answer_some(database, [10, 10], tenant="acme")
    answer_some(database, [600], tenant="b", tier="large")
    findings = read(database, Scope(tenant="acme", tier="small"))
    assert findings.work == [Work("small", 2, 24, 20)]
    assert findings.all_work == [Work("large", 1, 12, 600), Work("small", 2, 24, 20)]


def test_hits_say_what_they_saved(database: Database) -> None:
    answer_some(database, [50])
    cached = an_answer(source=Source.SEMANTIC, saved_pusd=70)
    answer_some(database, [0, 0], answer=cached)
    answer_some(database, [0], answer=an_answer(source=Source.JOINED))
    assert read(database).hits == [Hits("small", 3, 36, 140, 1)]


def test_manners_are_told_apart_where_there_is_more_than_one(database: Database) -> None:
    answer_some(database, [10])
    assert read(database).manners == []
    answer_some(database, [4, 6], answer=an_answer(speculation="ngram"))
    answer_some(database, [3], answer=an_answer(quantization="fp8"))
    assert sorted(read(database).manners) == [
        Manner("small", "a-model", False, False, 1, 12, 10),
        Manner("small", "a-model", False, True, 2, 24, 10),
        Manner("small", "a-model", True, False, 1, 12, 3),
    ]


def test_lengths_are_of_what_engines_answered(database: Database) -> None:
    answer_some(database, [10, 30])
    answer_some(database, [900], answer=an_answer(prompt_tokens=120, completion_tokens=8))
    long = an_answer(prompt_tokens=2_000_000, completion_tokens=1)
    answer_some(database, [70], answer=long)
    answer_some(database, [0], answer=an_answer(source=Source.EXACT))
    lengths = [(line.key, line.requests, line.amount_pusd) for line in read(database).lengths]
    assert lengths == [(0, 2, 40), (128, 1, 900), (2**20, 1, 70)]


def test_the_dearest_come_first(database: Database) -> None:
    _, second = answer_some(database, [5, 40], workflow="nightly")
    [first] = answer_some(database, [90])
    dearest = read(database, top=2).dearest
    assert [(dear.job_id, dear.amount_pusd, dear.workflow) for dear in dearest] == [
        (first, 90, ""),
        (second, 40, "nightly"),
    ]


def test_workers_count_by_the_part_of_their_time_in_the_window(database: Database) -> None:
    worker_time.open_books(
        database, worker_id=WORKER, tier="small", host="here", price_per_hour_pusd=9, started_ms=NOW
    )
    answer_some(database, [30])
    worker_time.close_books(database, WORKER, Spent(100, 40), NOW + HOUR_MS, died=True)
    [whole] = read(database).workers
    assert whole == TierTime("small", 1, 0, HOUR_MS, 30, 30, 40, 0)
    assert whole.paid_pusd == 100
    half = Window(NOW - HOUR_MS, NOW + HOUR_MS // 2)
    assert read(database, Scope(half)).workers == [
        TierTime("small", 1, 1, HOUR_MS // 2, 15, 15, 20, 0)
    ]
    for scope in (
        Scope(tier="large"),
        Scope(Window(None, NOW)),
        Scope(Window(NOW + HOUR_MS + 1, None)),
    ):
        assert read(database, scope).workers == []


def test_it_agrees_with_the_audit(database: Database) -> None:
    for number, tier in enumerate(("small", "large")):
        worker_time.open_books(
            database,
            worker_id=f"{tier}-{number}",
            tier=tier,
            host="here",
            price_per_hour_pusd=9,
            started_ms=NOW,
        )
        answer_some(database, [7, 11], tier=tier, worker_id=f"{tier}-{number}")
        spent = Spent(100, 40 + number)
        worker_time.close_books(database, f"{tier}-{number}", spent, NOW + 5, died=True)
    audit = auditing.audit(database, Window(), silent_before_ms=0)
    findings = read(database)
    assert findings.total.amount_pusd == audit.total("charged_pusd") == 36
    for column in ("paid_pusd", "charged_pusd", "waste_pusd", "idle_pusd"):
        assert sum(getattr(each, column) for each in findings.workers) == audit.total(column)


def test_a_report_leaves_nothing_behind(database: Database) -> None:
    answer_some(database, [30])
    assert read(database).total == read(database).total
    with database.read() as connection:
        found = inspect(connection)
        assert "report_facts" not in {*found.get_table_names(), *found.get_temp_table_names()}


def test_embeddings_came_from_no_cache(database: Database) -> None:
    answer_some(database, [0, 0], answer=an_answer(source=Source.ENCODER))
    findings = read(database)
    assert findings.hits == []
    assert (findings.total.requests, findings.total.by_engine) == (2, 2)
