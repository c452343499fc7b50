"""Whatever workers do and suffer, in whatever order, the books add up to the last picodollar."""

import itertools
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from penstock_shared.ledger import auditing, settling, worker_time
from penstock_shared.ledger.auditing import Life, LifeState, Window
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Job
from penstock_shared.ledger.settling import Account, Settlement
from penstock_shared.ledger.worker_time import Spent
from penstock_shared.words import AttemptOutcome, JobState
from tests.examples import NOW, accept_some, claim_some, lose_workers, rows, succeeded

_ENDINGS: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED)
_SLOTS: Final = 2
_LATER: Final = NOW + 10**9
_numbers = itertools.count()
slots = st.integers(0, _SLOTS - 1)
choices = st.integers(0, 9)
amounts = st.integers(1, 1000)
endings = st.tuples(choices, st.sampled_from(_ENDINGS))
times = st.integers(1, 2)  # of a commit after which the connection may have broken


@dataclass
class Hand:
    """A worker, its meter, and what it holds; it does not know which claims it has lost."""

    worker_id: str
    paid: int = 0
    idle: int = 0
    wasted: int = 0  # on what is no attempt
    unmetered: int = 0  # passed since the meter's last word
    written: int = 0  # of what it was paid, as the ledger knows
    held: list[Claim] = field(default_factory=list)
    costs: list[int] = field(default_factory=list)  # of each of them

    @property
    def spent(self) -> Spent:
        self.written = self.paid
        return Spent(self.paid, self.idle, self.wasted)

    @property
    def now(self) -> int:
        """A millisecond costs a picodollar."""
        return NOW + self.paid + self.unmetered

    def work(self, amount: int) -> int:
        """The meter speaks; returns what is to be booked."""
        amount += self.unmetered
        self.paid, self.unmetered = self.paid + amount, 0
        return amount

    @property
    def account(self) -> Account:
        return Account(self.worker_id, "small")

    def take(self, choice: int) -> tuple[Claim, int]:
        place = choice % len(self.held)
        return self.held.pop(place), self.costs.pop(place)


class Books(RuleBasedStateMachine):
    """Workers that claim, work, settle, give back, freeze, die and are taken for dead."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.slots = [self._begin() for _ in range(_SLOTS)]

    def teardown(self) -> None:
        self.database.close()

    def _begin(self) -> Hand:
        hand = Hand(f"worker-{next(_numbers)}")
        worker_time.open_books(
            self.database,
            worker_id=hand.worker_id,
            tier="small",
            host="here",
            price_per_hour_pusd=3_600_000,
            started_ms=NOW,
        )
        return hand

    @rule(slot=slots, amount=amounts)
    def claim(self, slot: int, amount: int) -> None:
        """And begin to work on it."""
        hand = self.slots[slot]
        queued = [job.id for job in rows(self.database, Job, Job.state == "queued")]
        ids = queued[:1] or accept_some(self.database)
        for claim in claim_some(self.database, ids, worker_id=hand.worker_id, now_ms=NOW * 2):
            hand.held.append(claim)
            hand.costs.append(hand.work(amount))

    @rule(slot=slots, choice=choices, amount=amounts)
    def work(self, slot: int, choice: int, amount: int) -> None:
        hand = self.slots[slot]
        amount = hand.work(amount)
        if hand.held:
            hand.costs[choice % len(hand.held)] += amount
        else:
            hand.idle += amount

    @rule(slot=slots, amount=amounts)
    def pass_time(self, slot: int, amount: int) -> None:
        """In a long step; the meter says nothing."""
        self.slots[slot].unmetered += amount

    @rule(slot=slots, amount=amounts)
    def waste(self, slot: int, amount: int) -> None:
        """Work for nobody, such as a trial of the cache."""
        hand = self.slots[slot]
        hand.wasted += hand.work(amount)

    @rule(slot=slots)
    def beat(self, slot: int) -> None:
        hand = self.slots[slot]
        worker_time.keep_books(self.database, hand.worker_id, hand.spent, hand.now)

    @rule(slot=slots, how=st.lists(endings, min_size=1, max_size=3), times=times)
    def settle(self, slot: int, how: list[tuple[int, JobState]], times: int) -> None:
        hand, group = self.slots[slot], []
        for choice, state in how[: len(hand.held)]:
            claim, cost = hand.take(choice)
            ending: dict[str, Any] = {"state": state}
            if state is not JobState.SUCCEEDED:
                ending |= {"answer": None, "error": "an error"}
            group.append(succeeded(claim, cost_pusd=cost, **ending))
        for _ in range(times):
            self._settle(hand, group)

    def _settle(self, hand: Hand, group: list[Settlement]) -> None:
        settling.settle(self.database, hand.account, group, hand.now, spent=hand.spent)

    @rule(slot=slots, choice=choices, times=times)
    def give_back(self, slot: int, choice: int, times: int) -> None:
        hand = self.slots[slot]
        if hand.held:
            claim, cost = hand.take(choice)
            for _ in range(times):
                settling.give_back(
                    self.database, hand.account, [claim], cost, hand.now, spent=hand.spent
                )

    @rule()
    def let_all_leases_run_out(self) -> None:
        lose_workers(self.database)

    @rule()
    def take_all_for_dead(self) -> None:
        worker_time.close_silent(self.database, _LATER)

    @rule(slot=slots, swept=st.booleans())
    def kill(self, slot: int, swept: bool) -> None:
        self.slots[slot] = self._begin()
        if swept:
            worker_time.close_silent(self.database, _LATER)

    @rule(slot=slots, died=st.booleans())
    def stop(self, slot: int, died: bool) -> None:
        """Its engine died, or it gives back all that it has; then it says its last word."""
        hand = self.slots[slot]
        while hand.held and not died:
            self.give_back(slot, 0, 1)
        worker_time.close_books(self.database, hand.worker_id, hand.spent, hand.now, died=died)
        self.slots[slot] = self._begin()

    @invariant()
    def everything_adds_up(self) -> None:
        audit = auditing.audit(self.database, Window(), silent_before_ms=NOW)
        assert audit.problems == []
        assert audit.total("difference_pusd") == 0
        ended = [life for life in audit.lives if life.state is LifeState.ENDED]
        assert all(life.paid_pusd >= life.until_ms - life.started_ms for life in ended)
        lives = {life.worker_id: life for life in audit.lives}
        for hand in self.slots:
            self._in_flight_is_what_is_held(hand, lives[hand.worker_id])

    def _in_flight_is_what_is_held(self, hand: Hand, life: Life) -> None:
        if life.state is LifeState.RUNNING and hand.written == hand.paid:
            assert life.paid_pusd == hand.paid
            assert life.in_flight_pusd == sum(hand.costs)

    @invariant()
    def what_was_wasted_is_no_less_than_attempts_say(self) -> None:
        audit = auditing.audit(self.database, Window(), silent_before_ms=NOW)
        attempts = rows(self.database, Attempt)
        assert sum(attempt.waste_pusd for attempt in attempts) <= audit.total("waste_pusd")
        assert not any(
            attempt.waste_pusd
            for attempt in attempts
            if attempt.outcome in {AttemptOutcome.SUCCEEDED, AttemptOutcome.CLAIMED}
        )


def test_the_books_add_up_whatever_happens(sqlite_template: Path, tmp_path: Path) -> None:
    def make() -> Books:
        path = tmp_path / f"ledger-{next(_numbers)}.db"
        shutil.copy(sqlite_template, path)
        return Books(Database(f"sqlite:///{path}"))

    run_state_machine_as_test(make, settings=settings(max_examples=100, stateful_step_count=40))
