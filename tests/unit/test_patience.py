"""Patience waits for the ledger, and for nothing else."""

import pytest

from penstock_shared.errors import BrokerUnavailable, LedgerUnavailable
from penstock_workers.patience import Patience


def test_a_call_is_repeated_until_the_ledger_answers() -> None:
    failures = [LedgerUnavailable("away")] * 3

    def ask() -> str:
        if failures:
            raise failures.pop()
        return "here"

    assert Patience(max_pause_s=0.001).call(ask) == "here"
    assert failures == []


def test_other_errors_pass_through_at_once() -> None:
    calls: list[int] = []

    def ask() -> None:
        calls.append(1)
        raise BrokerUnavailable("not the ledger")

    with pytest.raises(BrokerUnavailable):
        Patience().call(ask)
    assert calls == [1]


def test_after_giving_up_the_next_failure_is_raised() -> None:
    patience, calls = Patience(max_pause_s=0.001), 0

    def ask() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            patience.give_up()
        raise LedgerUnavailable("away for good")

    with pytest.raises(LedgerUnavailable, match="away for good"):
        patience.call(ask)
    assert calls == 5


def test_giving_up_does_not_hinder_calls_that_succeed() -> None:
    patience = Patience()
    patience.give_up()
    assert patience.call(lambda: 7) == 7


def test_before_each_further_try_the_one_before_is_cleared_away() -> None:
    done: list[str] = []

    def ask() -> None:
        done.append("try")
        if len(done) < 5:
            raise LedgerUnavailable("away")

    Patience(max_pause_s=0.001).call(ask, before_again=lambda: done.append("clear"))
    assert done == ["try", "clear", "try", "clear", "try"]
