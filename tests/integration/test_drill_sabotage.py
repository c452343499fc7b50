"""A sabotaged worker does the harm that the drill has to find."""

import subprocess
import sys
from pathlib import Path

import pytest

from penstock_shared.broker import Wakeup
from penstock_shared.errors import SettingsError
from penstock_shared.ledger import claiming, settling, sweeping, worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Charge, Job, JobResult
from penstock_shared.ledger.settling import Account
from penstock_shared.words import JobState
from penstock_workers.drill import sabotage
from tests.examples import (
    ACCOUNT,
    LEASE,
    NOW,
    WORKER,
    accept_some,
    an_answer,
    claim_some,
    rows,
    state_of,
)
from tests.examples import succeeded as an_end

OTHER = Account("small-another", "small")


@pytest.fixture
def _whole_again(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = (settling, "_held"), (settling, "_record"), (claiming, "renew"), (sweeping, "outbox")
    for module, name in replaced:
        monkeypatch.setattr(module, name, getattr(module, name))


def settle_twice(database: Database) -> tuple[str, set[str]]:
    """A job ends, and then once more, as if its first claim had been lost."""
    for worker_id in (WORKER, OTHER.worker_id):
        worker_time.open_books(
            database,
            worker_id=worker_id,
            tier="small",
            host="here",
            price_per_hour_pusd=1,
            started_ms=NOW,
        )
    [claim] = claim_some(database, accept_some(database))
    first = an_end(claim, cost_pusd=5, answer=an_answer("first"))
    late = an_end(claim._replace(fence=0), cost_pusd=7, answer=an_answer("late"))
    settling.settle(database, ACCOUNT, [first], NOW)
    return claim.job_id, settling.settle(database, OTHER, [late], NOW + 1)


def written(database: Database) -> list[tuple[str, int]]:
    results, charges = rows(database, JobResult), rows(database, Charge)
    return [
        (result.text, charge.amount_pusd) for result, charge in zip(results, charges, strict=True)
    ]


def test_a_late_settlement_changes_nothing(database: Database) -> None:
    settle_twice(database)
    assert written(database) == [("first", 5)]


@pytest.mark.usefixtures("_whole_again")
def test_without_fencing_a_late_settlement_writes_over_result_and_charge(
    database: Database,
) -> None:
    sabotage.apply(["fencing"])
    job_id, settled = settle_twice(database)
    assert settled == {job_id}
    assert written(database) == [("late", 7)]
    assert state_of(database, job_id) is JobState.SUCCEEDED


@pytest.mark.usefixtures("_whole_again")
def test_without_heartbeat_no_lease_is_renewed(database: Database) -> None:
    def lease(now_ms: int) -> int:
        claiming.renew(database, [claim], worker_id=WORKER, lease_ms=LEASE, now_ms=now_ms)
        [job] = rows(database, Job)
        return int(job.lease_until_ms)

    [claim] = claim_some(database, accept_some(database))
    renewed = lease(NOW + 1)
    assert renewed == NOW + 1 + LEASE
    sabotage.apply(["heartbeat"])
    assert lease(NOW + 2) == renewed


@pytest.mark.usefixtures("_whole_again")
def test_without_outbox_nothing_is_published_again(database: Database) -> None:
    def waiting() -> list[Wakeup]:
        return sweeping.outbox(database, now_ms=NOW + 9, older_than_ms=1, limit=9)

    accept_some(database, 2)
    assert len(waiting()) == 2
    sabotage.apply(["outbox"])
    assert waiting() == []


def test_a_sabotage_that_is_not_known_is_told() -> None:
    with pytest.raises(SettingsError, match="no sabotage 'gravity'; there are fencing"):
        sabotage.apply(["gravity"])


def test_a_worker_of_the_drill_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; import penstock_workers.drill.worker; "
        "print({'vllm', 'torch', 'transformers', 'sentence_transformers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "set()"
