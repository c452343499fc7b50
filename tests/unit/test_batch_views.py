"""Tables and JSON of estimates and wrong lines, pauses, and what Ctrl-C does."""

import io
import os
import signal
from fractions import Fraction
from typing import Any

import pytest
from rich.console import Console

from penstock_producer.batch.estimating import Band, Estimate, TierEstimate
from penstock_producer.batch.line_set import LineSet
from penstock_producer.batch.pausing import BY_OPERATOR, INTERRUPTED, may_go_on
from penstock_producer.batch.preparing import NumberedError, Preparation, TierLoad
from penstock_producer.cli import batch_views as views
from penstock_producer.cli.batch_interrupt import Interrupt
from penstock_shared.words import BatchState
from tests.batches import a_batch

DOLLAR = 10**12


def a_tier(name: str = "small", **changes: Any) -> TierEstimate:
    """A hundred lines that take one to four minutes and cost one to four dollars."""
    seconds = Band(Fraction(60), Fraction(120), Fraction(240))
    tier = TierEstimate(
        name,
        TierLoad(100, 90_000, 20_000),
        workers=1,
        measured_on=2_000,
        answer_tokens=10_000,
        worker_s=seconds,
        cost_pusd=seconds.times(Fraction(DOLLAR, 60)),
    )
    return tier._replace(**changes)


def a_preparation(errors: int = 0) -> Preparation:
    wrong = NumberedError(3, "[bold]\x1b[31m", "invalid_request", "max_tokens: too many", "x")
    kept = tuple(wrong._replace(line=number) for number in range(1, min(errors, 100) + 1))
    return Preparation(
        total=200 + errors,
        valid=200,
        digest="0",
        errors=kept,
        error_count=errors,
        tiers={},
        endpoint="/v1/chat/completions",
        duplicates=LineSet(),
    )


def printed(table: Any) -> str:
    file = io.StringIO()
    Console(file=file, width=200).print(table)
    return file.getvalue()


def test_an_estimate_is_shown_by_tier_and_in_all() -> None:
    slow = a_tier("large", workers=0, measured_on=0)
    shown = printed(views.estimate_view(a_preparation(), Estimate((a_tier(), slow))))
    assert "$20.00" in shown  # a million tokens
    assert "$1.00 to $4.00" in shown
    assert "1 min 00 s to 4 min 00 s" in shown
    assert "small: measured on 2,000 requests; 1 worker" in shown
    assert "large: assumed: no figures; no worker runs, time of one" in shown
    total = shown.split(" all ")[-1]
    assert "$4.00" in total
    assert "$2.00 to $8.00" in total


def test_scripts_get_exact_money_and_seconds() -> None:
    facts = views.estimate_facts(a_preparation(), Estimate((a_tier(),)))
    assert facts["cost_usd"] == {"low": "1", "middle": "2", "high": "4"}
    assert facts["seconds"] == {"low": 60, "middle": 120, "high": 240}
    assert facts["tiers"]["small"]["lines"] == 100


def test_the_first_wrong_lines_are_shown_and_the_others_counted() -> None:
    shown = printed(views.errors_table(a_preparation(150), "openai"))
    assert "150 of 350 lines are wrong" in shown
    assert "and 130 more" in shown
    assert shown.count("max_tokens: too many") == views.ERRORS_SHOWN
    assert "[bold]" in shown
    assert "\x1b" not in shown
    assert len(views.error_facts(a_preparation(150))) == 100


@pytest.mark.parametrize(
    ("stopped_by", "limit", "goes_on"),
    [
        (INTERRUPTED, None, True),
        ("the budget of tenant acme has 0 USD left", None, True),
        (BY_OPERATOR, None, False),
        (BY_OPERATOR, 10, False),
        (None, None, False),
        ("its max cost of 0.000000000005 USD is reached", None, False),
        ("its max cost of 0.000000000005 USD is reached", 5, False),
        ("its max cost of 0.000000000005 USD is reached", 6, True),
    ],
)
def test_why_a_batch_is_paused_says_whether_its_command_goes_on(
    stopped_by: str | None, limit: int | None, goes_on: bool
) -> None:
    paused = a_batch(1, state=BatchState.PAUSED, stopped_by=stopped_by, max_cost_pusd=5)
    assert may_go_on(paused, limit) is goes_on
    assert not may_go_on(paused._replace(state=BatchState.RUNNING), limit)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_asks_and_the_second_leaves(number: int, status: int) -> None:
    before = signal.signal(number, signal.default_int_handler)
    try:
        with Interrupt() as interrupt:
            assert not interrupt.asked.is_set()
            os.kill(os.getpid(), number)
            assert interrupt.asked.is_set()
            assert interrupt.exit_status == status
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
