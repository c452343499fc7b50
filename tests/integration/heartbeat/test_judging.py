"""Who was cut off from the ledger calls nobody lost until all had the time to come back."""

import pytest

from penstock_shared.errors import LedgerUnavailable
from penstock_workers.heartbeat import Heartbeat
from tests.examples import LEASE, Clock
from tests.integration.heartbeat.conftest import OutageLedger

LEASE_S = LEASE / 1000


def beat(heart: Heartbeat, clock: Clock, *moments: float) -> None:
    for moment in moments:
        clock.now = moment
        heart._beat()


def test_a_worker_that_beats_may_judge(heart: Heartbeat, monotonic: Clock) -> None:
    assert heart.may_judge()
    beat(heart, monotonic, 2, 4, 6, 8)
    assert heart.may_judge()


def test_a_worker_that_was_frozen_may_not_judge_before_it_has_beaten_for_a_lease(
    heart: Heartbeat, monotonic: Clock
) -> None:
    beat(heart, monotonic, 2)
    monotonic.now = 2 + LEASE_S + 1  # awake again: the sweeper's thread is the first to run
    assert not heart.may_judge()
    heart._beat()
    assert not heart.may_judge()
    woke = monotonic.now
    beat(heart, monotonic, woke + 2, woke + LEASE_S - 1)
    assert not heart.may_judge()
    beat(heart, monotonic, woke + LEASE_S)
    assert heart.may_judge()


def test_an_outage_of_the_ledger_is_like_being_frozen(
    heart: Heartbeat, monotonic: Clock, database: OutageLedger
) -> None:
    database.is_away = True
    with pytest.raises(LedgerUnavailable):
        beat(heart, monotonic, LEASE_S + 1)
    database.is_away = False
    beat(heart, monotonic, LEASE_S + 2)
    assert not heart.may_judge()


def test_a_short_outage_that_no_lease_can_have_run_out_in_changes_nothing(
    heart: Heartbeat, monotonic: Clock
) -> None:
    beat(heart, monotonic, 2, 2 + LEASE_S / 2, 4 + LEASE_S / 2)
    assert heart.may_judge()
