"""The command is killed with -9 wherever it is, many times: every line is there once at the end."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Charge, Job
from penstock_shared.settings import Settings
from tests.batch_files import a_batch_file, a_csv, custom_ids, objects, table
from tests.batch_worker import BatchWorker

_LINES = 1_500
_KILLS = 30
_LONGEST_LIFE_S = 0.4
_FINISHES_IN_S = 120


def _questions() -> list[str]:
    return [f"fail {n}" if n % 20 == 3 else f"What is {n}?\n\"It\"" for n in range(_LINES)]


class _Command:
    """The command, once or until a moment."""

    def __init__(self, url: str, home: Path, source: Path, out: Path, **options: str) -> None:
        settings = json.dumps({"ledger_url": url, "home": str(home)})
        module = [sys.executable, "-m", "tests.batch_command", settings]
        self._line = [*module, str(source), str(out), json.dumps(options)]

    def killed_after(self, life_s: float) -> bool:
        """Whether it was killed, and had not ended before."""
        process = subprocess.Popen(self._line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with suppress(subprocess.TimeoutExpired):
            # It begins to work when its imports are done.
            process.wait(life_s)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode in (0, -9), errors.decode()
        return process.returncode == -9

    def to_its_end(self) -> None:
        done = subprocess.run(self._line, capture_output=True, timeout=_FINISHES_IN_S, check=False)
        assert done.returncode == 0, done.stderr.decode()


def _start_up_s(command: _Command) -> float:
    """How long the command takes until it has something to do: its imports."""
    import time

    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import tests.batch_command"], check=True)
    return time.monotonic() - begun


def _kill_many_times(command: _Command, database: Database, seed: int) -> int:
    """Kill at random moments of its work, while a worker works; returns how often."""
    moments = random.Random(seed)
    start_up_s = _start_up_s(command)
    kills = 0
    with BatchWorker(database, at_once=8, pause_s=0.02):
        for _ in range(_KILLS):
            kills += command.killed_after(start_up_s + moments.uniform(-0.05, _LONGEST_LIFE_S))
        command.to_its_end()
    return kills


def _assert_each_was_generated_once(database: Database) -> None:
    with database.read() as connection:
        jobs = connection.scalar(select(func.count()).select_from(Job))
        attempts = connection.scalar(select(func.count()).select_from(Attempt))
        charges = connection.scalar(select(func.count()).select_from(Charge))
    failed = sum(question.startswith("fail") for question in _questions())
    assert (jobs, attempts, charges) == (_LINES, _LINES, _LINES - failed)


@pytest.mark.timeout(280)
def test_a_command_that_is_killed_at_random_places_writes_every_line_once(
    database: Database,
    ledger_url: str,
    make_settings: Callable[..., Settings],
    tmp_path: Path,
) -> None:
    source = a_batch_file(tmp_path / "in.jsonl", _questions())
    with source.open("a") as file:
        file.write("no JSON\n")
    out, errors = tmp_path / "out.jsonl", tmp_path / "out.errors.jsonl"
    command = _Command(ledger_url, make_settings().home, source, out)

    kills = _kill_many_times(command, database, seed=7)

    assert kills >= 25
    assert custom_ids(out, errors) == {
        **{f"line-{number}": 1 for number in range(1, _LINES + 1)},
        None: 1,
    }
    failed = {line["custom_id"] for line in objects(errors)}
    asked = {f"line-{n}" for n, q in enumerate(_questions(), 1) if q.startswith("fail")}
    assert failed == asked | {None}
    _assert_each_was_generated_once(database)


@pytest.mark.timeout(280)
def test_a_table_has_every_row_once_after_the_same(
    sqlite_url: str, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    source = a_csv(tmp_path / "in.csv", _questions())
    out = tmp_path / "out.csv"
    options = {"template": "{{ question }}", "id_column": "id"}
    command = _Command(sqlite_url, make_settings().home, source, out, **options)
    database = Database(sqlite_url)

    kills = _kill_many_times(command, database, seed=11)

    assert kills >= 20
    rows = table(out)
    assert sorted(int(row["penstock_line"]) for row in rows) == list(range(1, _LINES + 1))
    questions = dict(enumerate(_questions(), start=1))
    assert all(row["question"] == questions[int(row["penstock_line"])] for row in rows)
    _assert_each_was_generated_once(database)
    database.close()
