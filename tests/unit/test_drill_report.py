"""The report of a drill: figures for scripts, and a page for people."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from penstock_shared.ledger.worker_time import Books
from penstock_shared.words import AttemptOutcome, JobState
from penstock_workers.drill.evidence import Violation
from penstock_workers.drill.report import Report, Setup, recoveries, show, wasted_share
from penstock_workers.drill.snapshot import AttemptRow

SETUP = Setup(3, 60, 7, "postgresql", {"kill_worker": 4, "flush_redis": 1})
STATES = {JobState.SUCCEEDED: 98, JobState.FAILED: 1, JobState.DEAD: 1}


def a_report(*violations: Violation, **changes: Any) -> Report:
    report = Report(SETUP, 100, STATES, [1.0, 2.0, 8.1234], 0.021, violations)
    return report._replace(**changes)


def page(report: Report, *, kept_in: Path | None = None) -> str:
    out = Console(file=io.StringIO(), width=120)
    show(report, out, kept_in=kept_in)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def claims(*rows: tuple[str, str, int, int]) -> dict[str, list[AttemptRow]]:
    return {
        "a": [
            AttemptRow("a", fence, worker, AttemptOutcome(outcome), started, ended)
            for fence, (worker, outcome, started, ended) in enumerate(rows, start=1)
        ]
    }


def test_all_is_well_when_nothing_was_found() -> None:
    found = json.loads(json.dumps(a_report().as_json()))
    wanted = {"accepted": 100, "lost": 0, "duplicate_charges": 0, "changed_results": 0}
    wanted |= {"orphans": 0, "recovery_p50_s": 2.0, "recovery_p99_s": 8.12, "ok": True}
    wanted |= {"faults": {"kill_worker": 4, "flush_redis": 1}, "wasted_share": 0.021}
    assert found | wanted == found
    assert (found["succeeded"], found["failed"], found["dead"]) == (98, 1, 1)


def test_a_job_that_breaks_two_invariants_is_one_job() -> None:
    report = a_report(
        Violation("lost", "a", ""),
        Violation("not_ended", "b", ""),
        Violation("charged_twice", "c", ""),
        Violation("extra_charge", "c", ""),
        Violation("changed_result", "d", ""),
        Violation("orphan", None, "process 1"),
        Violation("orphan", None, "process 2"),
    )
    found = report.as_json()
    assert (found["lost"], found["duplicate_charges"]) == (2, 1)
    assert (found["changed_results"], found["orphans"], found["ok"]) == (1, 2, False)


def test_of_many_violations_the_first_are_shown() -> None:
    report = a_report(*(Violation("lost", f"job-{n:02}", "gone [x]") for n in range(30)))
    found = report.as_json()
    assert (found["lost"], found["violations_found"], len(found["violations"])) == (30, 30, 20)
    assert found["violations"][0] == {"invariant": "lost", "job_id": "job-00", "detail": "gone [x]"}
    words = page(report, kept_in=Path("/tmp/drill"))
    assert "lost: job job-19 gone [x]" in words
    assert "job-20" not in words
    assert "30 violations" in words
    assert "/tmp/drill" in words


def test_a_page_says_what_was_done_what_was_promised_and_what_came_of_it() -> None:
    words = page(a_report())
    assert "100 jobs in 60 s on 3 workers, postgresql, seed 7" in words
    assert "kill worker" in words
    assert "98 succeeded, 1 failed, 1 dead" in words
    assert "within 2 s (half of them) or 8.12 s (99 %)" in words
    assert "2.1% of the engines' working time was wasted" in words
    assert "All promises were kept." in words
    assert " no\n" not in words


def test_an_invariant_without_a_promise_is_shown_too() -> None:
    words = page(a_report(Violation("too_slow", None, "")))
    [line] = [line for line in words.splitlines() if "too_slow  " in line]
    assert line.split()[1:] == ["1", "no"]


def test_a_drill_without_faults_has_no_figures_of_them() -> None:
    report = a_report(recovery_s=[], wasted_share=None)
    found = report.as_json()
    assert (found["recovery_p50_s"], found["recovery_p99_s"], found["wasted_share"]) == (None,) * 3
    words = page(report)
    assert "wasted" not in words
    assert "took a job" not in words


@pytest.mark.parametrize(
    ("kills", "expected"),
    [
        ([("w1", 1_500)], [4.5]),
        ([("w1", 1_200), ("w1", 1_700)], [4.3]),  # the last one before the loss
        ([("w1", 500), ("w1", 1_200), ("w1", 5_000)], [4.8]),
        ([("w1", 500)], []),  # before it had the job
        ([("w2", 1_500)], []),
        ([], []),
    ],
)
def test_recovery_is_the_time_from_a_fault_to_the_next_claim(
    kills: list[tuple[str, int]], expected: list[float]
) -> None:
    attempts = claims(("w1", "lost", 1_000, 4_000), ("w2", "succeeded", 6_000, 7_000))
    assert recoveries(attempts, kills) == expected


def test_what_was_given_back_or_never_claimed_again_is_no_recovery() -> None:
    released = claims(("w1", "released", 1_000, 4_000), ("w2", "lost", 6_000, 7_000))
    assert recoveries(released, [("w1", 1_500), ("w2", 6_500)]) == []


def test_waste_is_the_working_time_that_nobody_paid_for() -> None:
    def books(paid: int, charged: int, idle: int) -> Books:
        return Books("w", paid, charged, paid - charged - idle, idle, True)

    assert wasted_share([books(100, 45, 50), books(60, 45, 10)]) == 0.1
    assert wasted_share([books(100, 0, 100)]) is None
    assert wasted_share([]) is None
