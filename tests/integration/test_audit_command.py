"""penstock audit, on a home whose stack is down."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import update

from penstock_producer.cli.main import run
from penstock_shared.ledger import settling, worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.ledger.schema import WorkerTime
from penstock_shared.ledger.worker_time import Spent
from tests.examples import ACCOUNT, NOW, WORKER, accept_some, claim_some, succeeded


class Done(NamedTuple):
    status: int
    out: str
    err: str


Penstock = Callable[..., Done]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A ledger with a worker's whole life, two answers and a job that waits."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    opened = Database(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    migrate(opened)
    worker_time.open_books(
        opened, worker_id=WORKER, tier="small", host="here", price_per_hour_pusd=100, started_ms=NOW
    )
    held = claim_some(opened, accept_some(opened, 2))
    settling.settle(opened, ACCOUNT, [succeeded(claim, cost_pusd=25) for claim in held], NOW)
    accept_some(opened)
    worker_time.close_books(opened, WORKER, Spent(100, 40), NOW + 3_600_000, died=True)
    yield opened
    opened.close()


@pytest.fixture
def penstock(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Penstock:
    """The command in this process."""

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        assert isinstance(ended.value.code, int | None)
        return Done(ended.value.code or 0, *capsys.readouterr())

    return call


def spoil(database: Database) -> None:
    with database.write() as connection:
        connection.execute(update(WorkerTime).values(idle_pusd=WorkerTime.idle_pusd + 1))


def test_amounts_are_exact_decimals_and_add_up(database: Database, penstock: Penstock) -> None:
    done = penstock("audit", "--json")
    facts = json.loads(done.out)
    assert done.status == 0
    expected = {
        "adds_up": True,
        "price_time_usd": "0.0000000001",
        "charges_usd": "0.00000000005",
        "waste_usd": "0.00000000001",
        "idle_usd": "0.00000000004",
        "in_flight_usd": "0",
        "difference_usd": "0",
        "charges": 2,
        "problems": [],
    }
    assert facts.items() >= expected.items()
    [worker] = facts["workers"]
    assert (worker["worker_id"], worker["state"], worker["difference_usd"]) == (
        WORKER,
        "ended",
        "0",
    )
    [waiting] = facts["jobs_without_charge"]
    assert (waiting["reason"], waiting["jobs"], waiting["is_wrong"]) == ("queued", 1, False)


def test_people_see_a_table(database: Database, penstock: Penstock) -> None:
    done = penstock("audit", "--jobs")
    assert done.status == 0
    for words in (WORKER, "1.00", "0.0000000001", "waits for a worker", "everything adds up"):
        assert words in done.out
    assert sum(line.endswith(" queued") for line in done.out.splitlines()) == 1


def test_one_picodollar_too_many_is_exit_status_1(database: Database, penstock: Penstock) -> None:
    spoil(database)
    done = penstock("audit")
    assert done.status == 1
    assert f"{WORKER}: -1 picodollars of its price x time are not explained" in done.out
    facts = json.loads(penstock("audit", "--json").out)
    assert (facts["adds_up"], facts["difference_usd"]) == (False, "-0.000000000001")


def test_a_window_has_the_lives_that_ended_in_it(database: Database, penstock: Penstock) -> None:
    spoil(database)
    before = penstock("audit", "--until", "2027-01-15T08:00:00+00:00", "--json")
    assert (before.status, json.loads(before.out)["workers"]) == (0, [])
    within = penstock("audit", "--since", "2027-01-15T08:00:00Z", "--jobs", "--json")
    facts = json.loads(within.out)
    assert (within.status, len(facts["workers"]), len(facts["jobs"])) == (1, 1, 1)
    assert facts["since"] == "2027-01-15T08:00:00Z"


def test_a_moment_that_is_none_is_wrong_usage(database: Database, penstock: Penstock) -> None:
    done = penstock("audit", "--since", "yesterday")
    assert done.status == 2
    assert "2026-11-23" in done.err


def test_a_home_without_a_ledger_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, penstock: Penstock
) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    assert penstock("audit").status == 69
