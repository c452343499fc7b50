"""What a person sees of a drill while it runs."""

from io import StringIO

import pytest
from rich.console import Console

from penstock_shared.words import JobState
from penstock_workers.drill.injection import Happened
from penstock_workers.drill.schedule import FaultKind, PlannedFault
from penstock_workers.drill.view import Lines, Picture, Screen

PICTURE = Picture(
    phase="breaking things",
    at_s=22.0,
    seconds=60.0,
    wanted=500,
    jobs={JobState.RUNNING: 12, JobState.SUCCEEDED: 310, JobState.DEAD: 1},
    workers={"worker-0": "up", "worker-1": "hurt"},
)
EARLIER = PICTURE._replace(at_s=20.0, jobs={JobState.SUCCEEDED: 281})
FROZEN = Happened(21.5, FaultKind.FREEZE_WORKER, "worker-1", 7.7)


@pytest.fixture
def seen() -> StringIO:
    return StringIO()


@pytest.fixture
def console(seen: StringIO) -> Console:
    return Console(file=seen, width=80, force_terminal=True, color_system=None)


def test_a_log_has_a_line_for_each_fault_and_one_for_the_jobs_now_and_then(
    console: Console, seen: StringIO
) -> None:
    with Lines(console) as view:
        view.say("starting")
        view.show(EARLIER._replace(at_s=1.0, jobs={}))
        view.fault(FROZEN)
        view.show(EARLIER)
        view.show(PICTURE)
        view.left_out(PlannedFault(21.0, FaultKind.KILL_WORKER, 0, 0.0))
    assert seen.getvalue().splitlines() == [
        "starting",
        "  21.5 s  freeze_worker: worker-1 for 7.7 s",
        "  20.0 s  281 succeeded; 15/s; 1 workers up",
        "  21.0 s  kill_worker: left out, there was nothing to hurt",
    ]


def test_a_log_says_that_the_ledger_does_not_answer(console: Console, seen: StringIO) -> None:
    with Lines(console) as view:
        view.show(PICTURE._replace(jobs=None))
    assert seen.getvalue() == "  22.0 s  the ledger does not answer; 0/s; 1 workers up\n"


def test_a_screen_shows_time_jobs_workers_and_the_last_faults(
    console: Console, seen: StringIO
) -> None:
    with Screen(console) as view:
        view.say("starting")
        view.show(EARLIER)
        view.fault(FROZEN)
        view.show(PICTURE)
    last = seen.getvalue().rpartition("penstock drill")[2]
    for words in ("breaking things", "38 s left", "311 of 500 jobs ended", "running", "12",
                  "answered per second", "15", "worker-1", "hurt", "the last of 1 faults",
                  "21.5 s", "freeze worker", "7.7 s"):  # fmt: skip
        assert words in last


def test_a_screen_keeps_the_last_counts_while_the_ledger_does_not_answer(
    console: Console, seen: StringIO
) -> None:
    with Screen(console) as view:
        view.show(PICTURE)
        view.fault(FROZEN)
        view.show(PICTURE._replace(jobs=None))
    last = seen.getvalue().rpartition("penstock drill")[2]
    assert "311 of 500 jobs ended" in last
    assert "the ledger does not answer" in last
