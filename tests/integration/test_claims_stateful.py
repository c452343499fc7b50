"""Whatever is lost, frozen, cut off or cancelled: a worker holds what the ledger says it does.

One worker, an engine that the test drives, jobs that come by message and lines of batches.
"""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection

from penstock_shared.errors import LedgerUnavailable
from penstock_shared.ledger import claiming, sweeping
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Charge, Job
from penstock_shared.words import JobState
from penstock_workers.engine.protocol import Ending, EngineRequest
from penstock_workers.heartbeat import Heartbeat, Life
from tests.batches import a_loaded_batch
from tests.examples import LEASE, NOW, WORKER, a_completion, lose_workers, rows
from tests.rig import Rig, accept

_PROMPTS: Final = 4  # jobs have a prompt in common now and then
_LATER: Final = NOW + 10**9
_numbers = itertools.count()
choices = st.integers(0, 9)


class CutLedger(Database):
    """A ledger whose connection breaks after the next commit, if the test says so."""

    is_cut = False

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
        if self.is_cut:
            self.is_cut = False
            raise LedgerUnavailable("the connection broke after the commit")


class Claims(RuleBasedStateMachine):
    """A worker that claims, freezes, wakes up, beats, settles and hears of cancellations."""

    def __init__(self, database: CutLedger, folder: Path) -> None:
        super().__init__()
        self.database = database
        self.rig = Rig(database, max_num_seqs=2)
        self.rig.clock.now = _LATER
        self.inside: dict[str, EngineRequest] = {}
        life = Life(WORKER, LEASE, "small", 2.0, folder / "health.json")
        self.heart = Heartbeat(
            life,
            database=database,
            cache=self.rig.cache,
            held=self.rig.held,
            flights=self.rig.flights,
            engine=self.rig.engine,
            settlements=self.rig.settlements,
            shadows=self.rig.shadows,
            now_ms=self.rig.clock,
        )
        lines = list(range(1, 5))
        a_loaded_batch(database, lines, fields=[("temperature", 0.5)])
        a_loaded_batch(database, lines, id="batch_2")

    def teardown(self) -> None:
        """In the end every job has ended, once, and nothing is held."""
        for _ in range(50):
            self.deliver()
            self.take_lines(is_cut=False)
            self.beat()
            while self.inside:
                self.end(0)
        assert not rows(self.database, Job, Job.finished_ms.is_(None))
        assert (len(self.rig.held), len(self.rig.flights), len(self.rig.intake)) == (0, 0, 0)
        done = {row.id for row in rows(self.database, Job, Job.state == JobState.SUCCEEDED.value)}
        assert {row.job_id for row in rows(self.database, Charge)} == done
        self.database.close()

    def _enter(self) -> None:
        """Let the engine take what it was given, in the order given."""
        for request in self.rig.engine.submitted:
            assert request.request_id not in self.inside
            self.inside[request.request_id] = request
        self.rig.engine.submitted.clear()
        self.rig.settle()  # what the cache answered

    @rule(choice=choices, temperature=st.sampled_from([0.0, 0.5]))
    def submit(self, choice: int, temperature: float) -> None:
        accept(self.database, f"prompt {choice % _PROMPTS}", temperature=temperature)

    @rule(is_cut=st.booleans())
    def deliver(self, is_cut: bool = False) -> None:
        """All that waits in the outbox comes by message."""
        wakeups = sweeping.outbox(self.database, now_ms=_LATER, older_than_ms=0, limit=99)
        self.database.is_cut = is_cut
        self.rig.admit(*(wakeup.job_id for wakeup in wakeups))
        self.database.is_cut = False
        self._enter()

    @rule(is_cut=st.booleans())
    def take_lines(self, is_cut: bool) -> None:
        self.database.is_cut = is_cut
        self.rig.batcher._admit_backlog()
        self.database.is_cut = False
        self._enter()

    @rule(choice=choices)
    def end(self, choice: int) -> None:
        """A request comes out of the engine: aborted, if that was asked for, else answered."""
        if not self.inside:
            return
        request_id = list(self.inside)[choice % len(self.inside)]
        del self.inside[request_id]
        is_aborted = request_id in self.rig.engine.aborted
        ending = Ending.ABORT if is_aborted else Ending.STOP
        self.rig.engine.aborted[:] = [i for i in self.rig.engine.aborted if i != request_id]
        self.rig.settle(a_completion(request_id, ending))

    @rule()
    def drain(self) -> None:
        self.rig.engine.abort(self.rig.flights.ids())

    @rule()
    def beat(self) -> None:
        self.heart._ask_ledger()
        self.heart._beat()
        self.rig.settle()

    @rule()
    def freeze(self) -> None:
        """Past all leases, until somebody has swept; no job is suspected, which has other tests."""
        lose_workers(self.database, now_ms=_LATER)
        with self.database.write() as connection:
            connection.execute(Job.__table__.update().values(suspicion=0))

    @rule(choice=choices)
    def cancel(self, choice: int) -> None:
        jobs = [row.id for row in rows(self.database, Job, Job.finished_ms.is_(None))]
        claiming.cancel(self.database, jobs[choice : choice + 1], _LATER)

    @invariant()
    def every_claim_of_the_worker_is_held(self) -> None:
        held = {(claim.job_id, claim.fence) for claim in self.rig.held.claims()}
        running = rows(self.database, Job, Job.state == JobState.RUNNING.value)
        assert {(row.id, row.fence) for row in running} <= held

    @invariant()
    def what_is_held_is_in_the_engine(self) -> None:
        assert set(self.rig.flights.ids()) <= self.inside.keys()
        flying = {(claim.job_id, claim.fence) for claim in self.rig.flights.claims()}
        held = {(claim.job_id, claim.fence) for claim in self.rig.held.claims()}
        assert held <= flying


def test_no_claim_is_forgotten_whatever_happens(sqlite_template: Path, tmp_path: Path) -> None:
    def make() -> Any:
        path = tmp_path / f"ledger-{next(_numbers)}.db"
        shutil.copy(sqlite_template, path)
        return Claims(CutLedger(f"sqlite:///{path}"), tmp_path)

    run_state_machine_as_test(make, settings=settings(max_examples=25, stateful_step_count=30))
