"""The end of a worker: shadows leave first, are paid for, and clear nobody of suspicion."""

import os
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from penstock_shared.ledger import worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheTrial, Job
from penstock_workers import worker as worker_module
from penstock_workers.cache import cache as cache_module
from penstock_workers.engine.protocol import Ending
from penstock_workers.worker import Worker
from tests.examples import a_completion, rows
from tests.integration.plane import PlaneEncoder, verify
from tests.rig import BOUND_S, Rig, accept


@pytest.fixture
def rig(database: Database, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """With a shadow in the engine."""
    monkeypatch.setattr(cache_module, "verify", verify)
    monkeypatch.setattr(os, "kill", lambda *_: None)
    rig = Rig(database, encoder=PlaneEncoder(), explore_share=1)
    stored, hit = accept(database, "A", "A at 0.9")
    rig.admit(stored)
    rig.settle(a_completion(stored))
    rig.cache.refresh()
    rig.admit(hit)
    rig.settle()
    assert rig.shadows.inside == 1
    return rig


@pytest.fixture
def worker(rig: Rig) -> Worker:
    parts: Any = SimpleNamespace(
        intake=rig.intake,
        held=rig.held,
        flights=rig.flights,
        engine=rig.engine,
        settlements=rig.settlements,
        trials=rig.trials,
        unfinished=rig.unfinished,
        settings=SimpleNamespace(worker=SimpleNamespace(drain_s=0)),
    )
    return Worker(parts)


def test_a_job_that_was_lost_beside_a_shadow_was_not_lost_alone(
    rig: Rig, worker: Worker, database: Database
) -> None:
    [job_id] = accept(database, "B")
    rig.admit(job_id)
    worker._on_engine_death("the engine died")
    [job] = rows(database, Job, Job.id == job_id)
    assert (job.state, job.attempts, job.suspicion) == ("queued", 0, 1)
    assert rig.shadows.inside == 0


def test_a_job_that_was_lost_alone_answers_for_it(
    rig: Rig, worker: Worker, database: Database
) -> None:
    rig.settle(*(a_completion(shadow) for shadow in rig.shadows._inside))
    [job_id] = accept(database, "B")
    rig.admit(job_id)
    worker._on_engine_death("the engine died")
    [job] = rows(database, Job, Job.id == job_id)
    assert (job.attempts, job.suspicion) == (1, 0)


def test_the_drain_waits_for_shadows_to_leave_and_what_they_cost_is_in_the_books(
    rig: Rig, worker: Worker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    abort = rig.engine.abort

    def end_at_once(request_ids: Sequence[str]) -> None:
        abort(request_ids)
        aborted = [a_completion(i, Ending.ABORT, cost_pusd=40) for i in request_ids]
        rig.settlements.add_completions(aborted)

    rig.engine.abort = end_at_once  # type: ignore[method-assign]
    monkeypatch.setattr(worker_module, "_JOIN_S", BOUND_S)
    settling = settle_in_between(rig)
    delivery: Any = SimpleNamespace(is_hurried=False)
    worker._drain(delivery)
    assert rig.shadows.inside == 0
    settling.join(BOUND_S)  # it has landed the shadow, and may not have handed over its cost
    rig.compare()
    [books] = worker_time.read_books(database)
    assert (books.charged_pusd, rig.engine.pulse().spent.wasted_pusd) == (900, 40)
    assert rows(database, CacheTrial) == []


def settle_in_between(rig: Rig) -> threading.Thread:
    """Let the settlement's thread run while the worker drains."""

    def run() -> None:
        while rig.shadows.inside:
            rig.settle()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
