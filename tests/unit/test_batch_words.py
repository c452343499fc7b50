"""What people read of a batch."""

import io
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from penstock_producer.batch.running import Progress
from penstock_producer.batch.time_left import TimeLeft
from penstock_producer.cli import batch_views as views
from penstock_producer.cli import batch_words as words
from penstock_producer.cli.batch_watch import Watch
from tests.examples import Clock


def a_progress(**changes: Any) -> Progress:
    """Half of a thousand lines are done."""
    values: dict[str, Any] = {
        "total": 1_000, "loaded": 1_000, "queued": 484, "running": 16, "succeeded": 490,
        "failed": 10, "cached": 90,
        "cost_usd": Decimal("0.0123456"), "seconds": 50.0, "settled_here": 500,
        "tokens_here": 4_000, "state": "running", "stopped_by": None,
    }  # fmt: skip
    return Progress(**{**values, **changes})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (1.26, "1.3 s"), (12.4, "12 s"), (200, "3 min 20 s"), (1_540, "25 min"),
        (7_500, "2 h 05 min"),
        (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"), ("12.3", "$12.30"), ("1234.567", "$1,234.57"), ("0.0123456", "$0.0123"),
        ("0.000001234567", "$0.00000123"),
    ],
)  # fmt: skip
def test_money_has_as_many_digits_as_say_something(amount: str, text: str) -> None:
    assert words.dollars(Decimal(amount)) == text


def test_progress_has_counts_speed_money_and_time_left() -> None:
    said = words.progress_in_words(a_progress(), TimeLeft(180, 320.4), 812.4, ())
    assert said == (
        "500 of 1,000 done · 10 failed · 90 cached · 812 tokens/s · $0.0123 spent · "
        "3 min 00 s to 5 min 20 s left"
    )


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (None, "time left: not known yet"),
        (TimeLeft(60, None), "at least 1 min 00 s left"),
        (TimeLeft(60.1, 60.2), "1 min 00 s left"),
    ],
)
def test_time_left_is_an_interval_or_said_to_be_unknown(left: TimeLeft | None, text: str) -> None:
    assert words.left_in_words(left) == text


def test_waiting_is_said_in_words() -> None:
    assert words.waiting_in_words(a_progress(), ()) is None
    loading = words.waiting_in_words(a_progress(loaded=600), ())
    assert loading == "loading, 600 of 1,000 are in the ledger"
    idle = words.waiting_in_words(a_progress(running=0), ("large",))
    assert idle is not None
    assert "no worker of tier large runs" in idle
    full = words.waiting_in_words(a_progress(running=0), ())
    assert full == "waiting for workers to have room"
    paused = a_progress(state="paused", stopped_by="its max cost of 1 USD is reached")
    said = words.progress_in_words(paused, None, None, ())
    assert "paused: its max cost of 1 USD is reached" in said
    assert "left" not in said
    assert "cancelled" in (words.waiting_in_words(a_progress(state="cancelled"), ()) or "")


def test_a_log_gets_a_line_every_ten_seconds() -> None:
    printed, clock = io.StringIO(), Clock(0.0)
    asked: list[Progress] = []
    with Watch(Console(file=printed), lambda p: asked.append(p) or ["large"], clock) as watch:
        for second in range(31):
            clock.now = float(second)
            watch.run(a_progress(settled_here=10 * second, succeeded=490, running=0))
    lines = printed.getvalue().splitlines()
    assert len(lines) == 3
    assert "50 s left" in lines[0]
    assert "50 s left" in lines[-1]
    assert all("no worker of tier large runs" in line for line in lines)
    assert len(asked) == 7


def test_a_terminal_shows_a_bar_that_goes_away() -> None:
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=True, width=100, height=10)
    with Watch(console, lambda _: (), Clock(0.0)) as watch:
        watch.read(0.25, 12_000)
        watch.run(a_progress())
        watch._live.refresh() if watch._live else None
    assert "50.0%" in printed.getvalue()
    assert "500 of 1,000 done" in printed.getvalue()


def test_a_bar_is_full_only_when_all_is_done() -> None:
    assert views.bar(0, 10, 4) == "░░░░"
    assert views.bar(5, 10, 4) == "██░░"
    assert views.bar(999_999, 1_000_000, 4) == "███░"
    assert views.bar(10, 10, 4) == "████"
    assert views.bar(0, 0, 4) == "████"
