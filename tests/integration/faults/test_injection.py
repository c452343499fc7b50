"""Faults begin and end at their times, and are never left half done."""

from penstock_shared.ledger.database import Database
from penstock_workers.drill.injection import Happened, Injection
from penstock_workers.drill.schedule import FaultKind, PlannedFault
from tests.acceptance.command import wait_until
from tests.examples import accept_some, claim_some
from tests.integration.faults.staging import SOON_S, SmallStage, ends, is_frozen


class Witness:
    """Remembers what an injection tells."""

    def __init__(self) -> None:
        self.happened: list[Happened] = []
        self.left_out: list[PlannedFault] = []

    def injection(self, stage: SmallStage, *planned: PlannedFault) -> Injection:
        return Injection(
            planned, stage, on_fault=self.happened.append, on_left_out=self.left_out.append
        )


def test_faults_begin_and_end_at_their_times(stage: SmallStage) -> None:
    witness = Witness()
    injection = witness.injection(
        stage,
        PlannedFault(1.0, FaultKind.LOSE_MESSAGE, 0, 2.0),
        PlannedFault(2.0, FaultKind.KILL_REDIS, 0, 5.0),
    )
    injection.tick(0.5)
    assert (witness.happened, injection.targets) == ([], set())
    injection.tick(1.1)
    assert injection.targets == {"worker-0"}
    injection.tick(2.2)
    assert injection.targets == {"worker-0", "redis"}
    injection.tick(3.2)
    assert injection.targets == {"redis"}
    ends(stage.workers[0])
    injection.tick(8.0)
    assert (injection.targets, stage.held_down) == (set(), [])
    assert [(h.kind, h.target) for h in witness.happened] == [
        (FaultKind.LOSE_MESSAGE, "worker-0"),
        (FaultKind.KILL_REDIS, "redis"),
    ]
    assert injection.counts == {FaultKind.LOSE_MESSAGE: 1, FaultKind.KILL_REDIS: 1}
    assert [hurt.worker_id for hurt in injection.hurt] == ["drill-0"]


def test_a_fault_waits_for_its_target_and_is_left_out_when_it_does_not_come(
    stage: SmallStage,
) -> None:
    stage.silent.add(0)
    soon = PlannedFault(1.0, FaultKind.KILL_WORKER, 0, 0.0)
    never = PlannedFault(1.0, FaultKind.FREEZE_WORKER, 1, 9.0)
    witness = Witness()
    injection = witness.injection(stage, soon, never)
    injection.tick(1.0)
    assert witness.happened == []
    stage.silent.clear()
    injection.tick(2.0)
    assert [h.at_s for h in witness.happened] == [2.0]
    injection.tick(100.0)
    assert witness.left_out == [never]


def test_two_faults_never_have_the_same_target_at_once(stage: SmallStage) -> None:
    witness = Witness()
    injection = witness.injection(
        stage,
        PlannedFault(1.0, FaultKind.LOSE_MESSAGE, 0, 3.0),
        PlannedFault(2.0, FaultKind.KILL_WORKER, 0, 0.0),
    )
    injection.tick(1.0)
    injection.tick(2.0)
    assert len(witness.happened) == 1
    assert stage.workers[0].is_running


def test_at_the_end_everything_is_let_go(stage: SmallStage, ledger: Database) -> None:
    claim_some(ledger, accept_some(ledger), worker_id="drill-0")
    later = PlannedFault(50.0, FaultKind.KILL_WORKER, 1, 0.0)
    witness = Witness()
    injection = witness.injection(
        stage,
        PlannedFault(1.0, FaultKind.FREEZE_WORKER, 0, 90.0),
        PlannedFault(1.0, FaultKind.STOP_DATABASE, 0, 90.0),
        PlannedFault(1.0, FaultKind.KILL_REDIS, 0, 90.0),
        later,
    )
    injection.tick(1.0)
    assert len(witness.happened) == 3
    injection.end_all()
    wait_until(lambda: not is_frozen(stage.workers[0]), SOON_S)
    assert stage.held_down == []
    assert len(accept_some(ledger)) == 1
    assert witness.left_out == [later]
    injection.tick(60.0)
    assert stage.workers[1].is_running
