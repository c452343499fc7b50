"""``penstock batch`` on a ledger whose stack does not run; the worker has no engine."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock_producer.cli.main import run
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from tests.batch_worker import BatchWorker
from tests.integration.batch.commands.files import Done, Penstock


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The ledger of a home whose stack does not run."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    opened = Database(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def penstock(ledger: Database, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> Penstock:
    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["penstock", "batch", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capfdbinary.readouterr()
        return Done(int(ended.value.code or 0), out.decode(), err.decode())

    return call


@pytest.fixture
def worker(ledger: Database) -> Iterator[BatchWorker]:
    with BatchWorker(ledger) as worker:
        yield worker
