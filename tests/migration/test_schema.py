"""The migrations make what the models describe, and give it back without losing a row."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from penstock_shared.ledger import accepting, cache_entries, migrate, reading, settling
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Table
from penstock_shared.words import JobState
from tests.examples import ACCOUNT, NOW, a_draft, claim_some, succeeded

_MIGRATE_WHEN_TOLD = """
import sys
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate(database)
database.close()
"""


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.close()


def downgrade(database: Database, revision: str) -> None:
    config = migrate._config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def differences(database: Database) -> list[Any]:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Table.metadata))


def tables(database: Database) -> set[str]:
    with database.read() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version"}


def partial_indexes(database: Database) -> dict[str, str]:
    """The conditions of the indexes that have one, which compare_metadata does not compare."""
    query = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index'"
        if database.is_sqlite
        else "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    )
    with database.read() as connection:
        found = connection.exec_driver_sql(query).all()
    return {name: sql.partition("WHERE ")[2] for name, sql in found if "WHERE" in (sql or "")}


def test_an_upgrade_makes_exactly_what_the_models_describe(empty: Database) -> None:
    migrate.migrate(empty)
    assert differences(empty) == []
    assert tables(empty) == set(Table.metadata.tables)


def test_the_comparison_sees_a_column_that_is_missing(empty: Database) -> None:
    migrate.migrate(empty)
    with empty.write() as connection:
        connection.exec_driver_sql("ALTER TABLE duties DROP COLUMN until_ms")
    assert len(differences(empty)) == 1


def test_the_partial_indexes_have_the_conditions_of_the_models(empty: Database) -> None:
    migrate.migrate(empty)
    found = partial_indexes(empty)
    described = {
        str(index.name)
        for table in Table.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    assert set(found) == described
    named = ("state", "ended_ms", "source", "near_miss", "quantization", "batch_id")
    assert all(any(name in condition for name in named) for condition in found.values())


def test_a_downgrade_to_the_base_and_back_is_the_same_schema(empty: Database) -> None:
    migrate.migrate(empty)
    downgrade(empty, "base")
    assert tables(empty) == set()
    migrate.migrate(empty)
    assert differences(empty) == []


def test_every_single_step_goes_up_and_down(empty: Database) -> None:
    steps = list(ScriptDirectory.from_config(migrate._config()).walk_revisions())[::-1]
    if empty.is_sqlite:
        migrate.migrate(empty, "base")
    for step in steps:
        migrate.migrate(empty, step.revision)
        downgrade(empty, step.down_revision or "base")
        migrate.migrate(empty, step.revision)
    assert differences(empty) == []


def test_there_is_one_line_of_migrations_without_branches() -> None:
    scripts = ScriptDirectory.from_config(migrate._config())
    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1


def test_what_was_written_before_an_upgrade_is_there_after_it(empty: Database) -> None:
    steps = list(ScriptDirectory.from_config(migrate._config()).walk_revisions())[::-1]
    migrate.migrate(empty)
    outcomes = accepting.accept(empty, [a_draft("Đập là gì?", idempotency_key="k")] * 2, NOW)
    [job_id] = {o.job_id for o in outcomes if isinstance(o, accepting.Accepted)}
    [claim] = claim_some(empty, [job_id])
    settling.settle(empty, ACCOUNT, [succeeded(claim, cost_pusd=2**62)], NOW)
    before = reading.fetch_one(empty, job_id)
    downgrade(empty, steps[0].revision)
    migrate.migrate(empty)
    migrate.migrate(empty)
    assert reading.fetch_one(empty, job_id) == before
    assert before.status is JobState.SUCCEEDED


def test_an_entry_of_an_older_schema_counts_as_used_when_it_was_stored(empty: Database) -> None:
    migrate.migrate(empty, "0003")
    with empty.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO cache_entries (key, partition, tenant, tier, question, text,"
            " finish_reason, prompt_tokens, completion_tokens, charge_pusd, created_ms, expires_ms)"
            " VALUES ('k', 'p', 'acme', 'small', 'q', 't', 'stop', 1, 2, 3, 70, 90)"
        )
    migrate.migrate(empty)
    [entry] = cache_entries.listed(empty)
    assert (entry.used_ms, entry.hits, entry.model, entry.charge_pusd) == (70, 0, "", 3)


def test_two_processes_that_migrate_at_once_end_with_one_schema(empty: Database) -> None:
    url = empty.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _MIGRATE_WHEN_TOLD, url]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        assert [process.stdout.readline() for process in processes if process.stdout] == [
            "ready\n"
        ] * 2
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.wait(60) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert differences(empty) == []
