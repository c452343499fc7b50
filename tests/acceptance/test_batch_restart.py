"""The machine goes down in the middle of a batch: nothing that was answered is generated again."""

import csv
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path

from sqlalchemy import select

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Charge, Job
from tests.acceptance.command import STOP_S, Home, processes_of, stop, wait_until

LINES = 200
ANSWERED_BEFORE = 20


def write_questions(path: Path) -> Path:
    """A table; every line makes the engine write for a while."""
    rows = (f"{number},Tell a long story number {number}.\n" for number in range(LINES))
    path.write_text("name,text\n" + "".join(rows), encoding="utf-8")
    return path


def names_in(path: Path) -> list[str]:
    """The first column; a line that was cut by the end of its command has ended, too."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row[0] for row in csv.reader(file)][1:]


def power_cut(home: Home) -> None:
    """Everything dies at once; the broker's disk does not come back."""
    for process in processes_of(home.folder):
        process.kill()
    wait_until(lambda: processes_of(home.folder) == [], STOP_S)
    shutil.rmtree(home.folder / "redis")


def test_after_the_machine_went_down_the_same_command_finishes(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", PENSTOCK_WORKER__LEASE_S="6", PENSTOCK_WORKER__SWEEP_S="1")
    source, out = write_questions(tmp_path / "stories.csv"), tmp_path / "stories.out.csv"
    command = ("batch", "run", str(source), "-o", str(out), "--id-column", "name")
    options = ("--tier", "small", "--max-tokens", "200", "--no-cache")

    with home.up("small") as first:
        running = home.start(*command, *options)
        wait_until(lambda: len(names_in(out)) >= ANSWERED_BEFORE, 120)
        power_cut(home)
        running.wait()
        first.wait()
    before = names_in(out)
    assert len(before) < LINES
    home.folder.with_suffix(".out").unlink()

    with home.up("small") as second:
        facts = home.json(*command, *options)
        assert facts["counts"]["succeeded"] == facts["total"] == LINES
        assert sorted(names_in(out), key=int) == [str(number) for number in range(LINES)]
        assert home.json("audit")["difference_usd"] == "0"
        assert stop(second) == 0
    check_attempts(home, answered=set(before), cost_usd=facts["cost_usd"])


def check_attempts(home: Home, *, answered: set[str], cost_usd: str) -> None:
    """Only what was in the engine is generated again, and each line is charged once."""
    database = Database(f"sqlite:///{home.folder / 'ledger.db'}")
    try:
        with database.read() as connection:
            attempts = connection.execute(
                select(Job.custom_id, Attempt.outcome).join(Attempt, Attempt.job_id == Job.id)
            ).all()
            charged = list(connection.scalars(select(Charge.job_id)))
    finally:
        database.close()
    assert len(charged) == len(set(charged)) == LINES
    tries = Counter(row.custom_id for row in attempts)
    lost = {row.custom_id for row in attempts if row.outcome == "lost"}
    assert lost
    assert {name for name, count in tries.items() if count > 1} == lost
    assert not lost & answered
    assert Decimal(cost_usd) > 0
