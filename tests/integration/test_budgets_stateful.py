"""Whatever happens to jobs, in whatever order, budgets are exact and their bound holds."""

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from penstock_shared.ledger import claiming, dead, settling, sweeping
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.auditing_budgets import budget_problems
from penstock_shared.ledger.budgeting import Hold
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job as JobRow
from penstock_shared.words import JobState
from tests.budgets import a_budget, a_hold, submit, used
from tests.examples import (
    ACCOUNT,
    NOW,
    a_draft,
    claim_some,
    lose_engines,
    lose_workers,
    rows,
    succeeded,
)

_DAY_MS: Final = 86_400_000
_ENDINGS: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED)
_BUDGETS: Final = (
    a_budget(600, tenant="acme"),
    a_budget(400, tenant="acme", workflow="nightly"),
    a_budget(1_500, per="month"),
)
_numbers = itertools.count()
amounts = st.integers(1, 400)
choices = st.integers(0, 9)
times = st.integers(1, 2)  # of a commit after which the connection may have broken
asked = st.tuples(
    amounts,
    st.sampled_from(("acme", "other")),
    st.sampled_from((None, "nightly")),
    st.sampled_from((None, None, "k1", "k2")),
)


@dataclass
class Known:
    """A job as the test knows it; its state is read from the ledger."""

    hold: Hold
    charged: int = 0


class Budgets(RuleBasedStateMachine):
    """Callers, workers and operators on one ledger, and the days go by."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.now = NOW
        self.jobs: dict[str, Known] = {}
        self.held: list[Claim] = []  # some of them were lost, and their holder does not know
        self.in_flight: dict[str, set[str]] = {}  # by period: open at its last submit, or retried
        self.retried: set[str] = set()  # reserved again without asking

    def teardown(self) -> None:
        self.database.close()

    def _states(self) -> dict[str, JobState]:
        return claiming.states(self.database, list(self.jobs))

    def _open(self, period: str) -> set[str]:
        states = self._states()
        return {
            job_id
            for job_id, job in self.jobs.items()
            if period in job.hold.ids and not states[job_id].is_terminal
        }

    @rule(batch=st.lists(asked, min_size=1, max_size=4), times=times)
    def submit(self, batch: list[tuple[int, str, str | None, str | None]], times: int) -> None:
        drafts = []
        for pusd, tenant, workflow, key in batch:
            theirs = [b for b in _BUDGETS if b.covers(tenant, workflow)]
            hold = a_hold(pusd, *theirs, now_ms=self.now)
            draft = a_draft(tenant=tenant, workflow=workflow, idempotency_key=key)
            drafts.append(draft._replace(hold=hold))
        for _ in range(times if all(key for *_, key in batch) else 1):
            for draft, outcome in zip(drafts, submit(self.database, *drafts), strict=True):
                if isinstance(outcome, Accepted) and outcome.job_id not in self.jobs:
                    assert draft.hold is not None
                    self.jobs[outcome.job_id] = Known(draft.hold)
                    self._within_the_limits(draft.hold)

    def _within_the_limits(self, hold: Hold) -> None:
        """At a submit that is accepted, no budget that it takes from is passed."""
        found = used(self.database)
        for period in hold.periods:
            assert sum(found[period.id]) <= period.limit_pusd
            self.in_flight[period.id] = self._open(period.id)

    @rule(count=st.integers(1, 3))
    def claim(self, count: int) -> None:
        queued = [job.id for job in rows(self.database, JobRow, JobRow.state == "queued")]
        self.held += claim_some(self.database, queued[:count], now_ms=NOW * 2)

    @precondition(lambda self: self.held)
    @rule(choice=choices, state=st.sampled_from(_ENDINGS), cost=st.integers(0, 800), times=times)
    def settle(self, choice: int, state: JobState, cost: int, times: int) -> None:
        claim = self.held.pop(choice % len(self.held))
        end = succeeded(claim, cost_pusd=cost)
        if state is not JobState.SUCCEEDED:
            end = end._replace(state=state, answer=None, error="an error")
        for _ in range(times):
            settled = settling.settle(self.database, ACCOUNT, [end], self.now)
        if settled and state is JobState.SUCCEEDED:
            self.jobs[claim.job_id].charged = cost

    @precondition(lambda self: self.held)
    @rule(choice=choices)
    def give_back(self, choice: int) -> None:
        claim = self.held[choice % len(self.held)]
        settling.give_back(self.database, ACCOUNT, [claim], 3, self.now)

    @precondition(lambda self: self.jobs)
    @rule(choice=choices, times=times)
    def cancel(self, choice: int, times: int) -> None:
        job_id = list(self.jobs)[choice % len(self.jobs)]
        for _ in range(times):
            claiming.cancel(self.database, [job_id], self.now)

    @precondition(lambda self: self.jobs)
    @rule(choice=choices, by_claim=st.booleans())
    def expire(self, choice: int, by_claim: bool) -> None:
        job_id = list(self.jobs)[choice % len(self.jobs)]
        with self.database.write() as connection:
            connection.exec_driver_sql(f"UPDATE jobs SET deadline_ms = 1 WHERE id = '{job_id}'")
        if by_claim:
            self.held += claim_some(self.database, [job_id], now_ms=NOW * 2)
        else:
            sweeping.expire_overdue(self.database, self.now)

    @rule(max_attempts=st.sampled_from((1, 9)))
    def lose_workers(self, max_attempts: int) -> None:
        lose_workers(self.database, now_ms=self.now, max_attempts=max_attempts)

    @precondition(lambda self: self.held)
    @rule(choice=choices, times=times)
    def lose_an_engine(self, choice: int, times: int) -> None:
        claim = self.held[choice % len(self.held)]
        for _ in range(times):
            lose_engines(self.database, [claim], now_ms=self.now, max_attempts=1)

    @precondition(lambda self: dead.dead_jobs(self.database))
    @rule(times=times)
    def drop_the_dead(self, times: int) -> None:
        ids = [job.job_id for job in dead.dead_jobs(self.database)]
        for _ in range(times):
            dead.drop(self.database, ids, self.now)

    @precondition(lambda self: dead.dead_jobs(self.database))
    @rule(times=times)
    def retry_the_dead(self, times: int) -> None:
        ids = [job.job_id for job in dead.dead_jobs(self.database)]
        for _ in range(times):
            dead.retry(self.database, ids)
        self.retried.update(ids)
        for job_id in ids:
            for period in self.jobs[job_id].hold.periods:
                self.in_flight[period.id].add(job_id)

    @rule()
    def let_a_day_pass(self) -> None:
        self.now += _DAY_MS

    @invariant()
    def every_row_is_the_sum_of_its_jobs(self) -> None:
        states = self._states()
        for period, (spent, reserved) in used(self.database).items():
            mine = {j: job for j, job in self.jobs.items() if period in job.hold.ids}
            assert spent == sum(job.charged for job in mine.values())
            still = (job for j, job in mine.items() if not states[j].is_terminal)
            assert reserved == sum(job.hold.amount_pusd for job in still)

    @invariant()
    def the_audit_finds_nothing_wrong_with_budgets(self) -> None:
        with self.database.snapshot() as connection:
            assert list(budget_problems(connection, [])) == []

    @invariant()
    def charges_pass_a_limit_by_no_more_than_what_was_in_flight_cost_more(self) -> None:
        """Retried jobs count whole: they reserve without asking."""
        limits = {p.id: p.limit_pusd for job in self.jobs.values() for p in job.hold.periods}
        found = used(self.database)
        for period, limit in limits.items():
            more = sum(self._beyond(job_id) for job_id in self.in_flight[period])
            assert sum(found[period]) <= limit + more

    def _beyond(self, job_id: str) -> int:
        job = self.jobs[job_id]
        if job_id in self.retried:
            return max(job.charged, job.hold.amount_pusd)
        return max(0, job.charged - job.hold.amount_pusd)


def test_budgets_are_exact_whatever_happens(sqlite_template: Path, tmp_path: Path) -> None:
    def make() -> Budgets:
        path = tmp_path / f"ledger-{next(_numbers)}.db"
        shutil.copy(sqlite_template, path)
        return Budgets(Database(f"sqlite:///{path}"))

    run_state_machine_as_test(make, settings=settings(max_examples=60, stateful_step_count=50))
