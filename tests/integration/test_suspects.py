"""Suspects of every kind are isolated, and none is forgotten."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock_shared.ledger import claiming
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.words import JobState, RequestKind
from penstock_workers.intake import Requeue
from penstock_workers.quarantine import Suspect
from tests.examples import claim_some, lose_workers, rows, state_of
from tests.rig import BOUND_S, Rig, accept

SEATS = 16


def test_embeddings_that_are_lost_together_run_with_fewer_beside_them(database: Database) -> None:
    rig = Rig(database, max_num_seqs=SEATS)
    ids = accept(database, *(f"text {n}" for n in range(4)), kind=RequestKind.EMBEDDING)
    for _ in range(2):  # the first time makes nobody suspect
        claim_some(database, ids)
        lose_workers(database)
    rig.admit(*ids)
    assert len(rig.held) == SEATS >> 3
    assert len(rig.batcher._quarantine) == SEATS >> 3  # the others were sent back
    rig.embed()
    assert (len(rig.held), len(rig.batcher._quarantine)) == (0, 0)


def test_an_embedding_that_kills_workers_is_alone_in_the_end_and_its_attempts_count(
    database: Database,
) -> None:
    ids = accept(database, *(f"text {n}" for n in range(3)), kind=RequestKind.EMBEDDING)
    rig = Rig(database, max_num_seqs=1)
    rig.intake.close()  # nobody waits for it to end
    rig.batcher._quarantine.add(Suspect(2, job_id) for job_id in ids)
    for _ in range(4):
        rig.batcher._admit_suspects()
        [alone] = rig.held.claims()
        assert rig.batcher._quarantine.is_running_alone
        lose_workers(database)
        rig.held.drop([alone])
        rig.batcher._quarantine.add([Suspect(2, alone.job_id)])
    assert {row.id: row.attempts for row in rows(database, Job)} == {
        job_id: int(job_id == alone.job_id) for job_id in ids
    }


def test_a_suspect_whose_claim_fails_in_an_unforeseen_way_is_not_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(database)
    ids = accept(database, "first", "second")
    rig.unfinished.lose(claim_some(database, ids), "the engine died", together=True)
    claim: Callable[..., Any] = claiming.claim

    def break_for_suspects(*args: Any, **kwargs: Any) -> Any:
        return 1 / 0 if kwargs["suspects"] else claim(*args, **kwargs)

    monkeypatch.setattr(claiming, "claim", break_for_suspects)
    futures = rig.admit(*ids)
    assert [type(future.exception(BOUND_S)) for future in futures] == [Requeue, Requeue]
    assert (len(rig.held), len(rig.intake), len(rig.batcher._quarantine)) == (0, 0, 0)
    monkeypatch.undo()
    rig.admit(*ids)
    assert {state_of(database, job_id) for job_id in rig.in_engine} == {JobState.RUNNING}
    assert len(rig.in_engine) == 2
