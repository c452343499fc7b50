"""The command is killed with -9 wherever it is, many times: every line is there once at the end."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from penstock_shared.ledger.batches import records
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Charge, Job
from penstock_shared.settings import Settings
from tests.batch_command import Command, start_command
from tests.batch_files import a_batch_file, a_csv, custom_ids, objects, table
from tests.batch_worker import BatchWorker

_LINES = 2_500
_KILLS = 40
_STAY_OPEN = 500  # lines that do not end before the last kill, however fast the machine is
_LONGEST_LIFE_S = 0.5
_BEGINS_IN_S = 60
_FINISHES_IN_S = 120
_QUESTIONS = [f"fail {n}" if n % 20 == 3 else f'What is {n}?\n"It"' for n in range(_LINES)]
_FAILED = sum(question.startswith("fail") for question in _QUESTIONS)

Start = Callable[[], Command]


def _kill_many_times(command: Start, database: Database, out: Path, seed: int) -> int:
    """Kill at random moments, while lines end; then let it finish. Returns how many were killed.

    One in five is killed while it starts and reads, the others while they load and write.
    """
    moments = random.Random(seed)
    worker = BatchWorker(database, "small", at_once=2)
    kills = 0
    loaded, sizes = set(), set()
    for _ in range(_KILLS):
        process, begun = command()
        if moments.random() > 0.2:
            assert begun.poll(_BEGINS_IN_S)
        end = time.monotonic() + moments.uniform(0, _LONGEST_LIFE_S)
        while (left_s := end - time.monotonic()) > 0:
            if worker.settled < _LINES - _STAY_OPEN:
                worker.serve()
            else:
                process.join(left_s)
        process.kill()
        process.join()
        begun.close()
        kills += process.exitcode == -9
        loaded.update(record.loaded for record in records.newest(database))
        sizes.add(out.stat().st_size if out.exists() else 0)
    with BatchWorker(database):
        process, _ = command()
        process.join(_FINISHES_IN_S)
    assert process.exitcode == 0
    assert len(loaded) > 1, loaded  # some were killed while they loaded
    assert len(sizes) > 2, sizes  # and some while they wrote
    return kills


def _assert_each_was_generated_once(database: Database) -> None:
    with database.read() as connection:
        jobs = connection.scalar(select(func.count()).select_from(Job))
        attempts = connection.scalar(select(func.count()).select_from(Attempt))
        charges = connection.scalar(select(func.count()).select_from(Charge))
    assert (jobs, attempts, charges) == (_LINES, _LINES, _LINES - _FAILED)


@pytest.mark.timeout(280)
def test_a_command_that_is_killed_at_random_places_writes_every_line_once(
    database: Database, ledger_url: str, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    source = a_batch_file(tmp_path / "in.jsonl", _QUESTIONS)
    with source.open("a") as file:
        file.write("no JSON\n")
    out, errors = tmp_path / "out.jsonl", tmp_path / "out.errors.jsonl"

    kills = _kill_many_times(
        lambda: start_command(make_settings(), ledger_url, source, out), database, out, seed=7
    )

    assert kills >= 25
    ids = {f"line-{number}": 1 for number in range(1, _LINES + 1)}
    assert custom_ids(out, errors) == {**ids, None: 1}
    assert len(objects(errors)) == _FAILED + 1
    assert all(line["response"]["status_code"] == 200 for line in objects(out))
    _assert_each_was_generated_once(database)


@pytest.mark.timeout(280)
def test_a_table_has_every_row_once_after_the_same(
    sqlite_url: str, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    source = a_csv(tmp_path / "in.csv", _QUESTIONS)
    out = tmp_path / "out.csv"
    options = {"template": "{{ question }}", "id_column": "id", "tier": "small"}
    database = Database(sqlite_url)

    kills = _kill_many_times(
        lambda: start_command(make_settings(), sqlite_url, source, out, **options),
        database,
        out,
        seed=11,
    )

    assert kills >= 25
    rows = table(out)
    assert sorted(int(row["penstock_line"]) for row in rows) == list(range(1, _LINES + 1))
    assert all(row["question"] == _QUESTIONS[int(row["penstock_line"]) - 1] for row in rows)
    _assert_each_was_generated_once(database)
    database.close()
