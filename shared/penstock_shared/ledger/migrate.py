"""Bring the ledger's schema to the version of this Penstock, and check that it is there."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from penstock_shared.errors import SchemaMismatch
from penstock_shared.ledger.database import Database

_LOCK: Final = 7_361_636_866  # any number that is ours: one migration at a time


def migrate(database: Database, revision: str = "head") -> None:
    """Create or upgrade the tables; does nothing when they are right already."""
    if database.is_sqlite and database.url.database:
        path = Path(database.url.database)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    with database.write() as connection:
        if not database.is_sqlite:  # SQLite's write lock does the same
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def check_schema(database: Database) -> None:
    """Raise SchemaMismatch, which says what to do, unless the schema is this version's."""
    with database.read() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    expected = ScriptDirectory.from_config(_config()).get_current_head()
    if found == expected:
        return
    if found is None:
        raise SchemaMismatch("the ledger's database is empty; run 'penstock migrate'")
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    advice = (
        "run 'penstock migrate'"
        if found in known
        else "it was written by a newer Penstock: install that version"
    )
    raise SchemaMismatch(f"the ledger has schema {found}, this Penstock wants {expected}; {advice}")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    return config


def _scripts() -> Path:
    installed = Path(str(files("penstock_shared"))) / "_migrations"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "migrations"
