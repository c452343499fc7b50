"""penstock submit --schema and --kind, on a ledger without a stack."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock_producer.cli.main import run
from penstock_shared.ledger import settling
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.ledger.schema import Job
from penstock_shared.stack.processes import free_port
from penstock_shared.words import Source
from tests.examples import ACCOUNT, NOW, accept_some, an_answer, claim_some, rows, succeeded

Penstock = Callable[..., Any]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    home = tmp_path / "home"
    monkeypatch.setenv("PENSTOCK_HOME", str(home))
    monkeypatch.setenv("PENSTOCK_BROKER_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    opened = Database(f"sqlite:///{home / 'ledger.db'}")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def penstock(database: Database, monkeypatch: pytest.MonkeyPatch) -> Penstock:
    """The command in this process; gives its exit status."""

    def call(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        return ended.value.code or 0

    return call


def stored(database: Database) -> Any:
    """The one request in the ledger."""
    [job] = rows(database, Job)
    return json.loads(job.request)


def test_a_schema_comes_from_a_file(penstock: Penstock, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "city.json"
    file.write_text('{"type": "object", "required": ["name"]}')
    assert penstock("submit", "Which city?", "--schema", str(file)) == 0
    assert stored(database)["response_format"]["json_schema"] == {
        "name": "answer",
        "schema": {"type": "object", "required": ["name"]},
    }


@pytest.mark.parametrize("content", [None, "{", '{"type": "objekt"}', "[1]"])
def test_a_file_without_a_schema_is_refused(
    penstock: Penstock, database: Database, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "city.json"
    if content is not None:
        file.write_text(content)
    assert penstock("submit", "Which city?", "--schema", str(file)) == 65
    assert rows(database, Job) == []


def test_a_kind_is_chosen(penstock: Penstock, database: Database) -> None:
    penstock("submit", "A dam", "--kind", "embedding")
    assert stored(database)["kind"] == "embedding"


def test_vectors_are_said_to_come_from_the_encoder(
    penstock: Penstock, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    [claim] = claim_some(database, accept_some(database))
    answer = an_answer("[[1.0]]", source=Source.ENCODER)
    settling.settle(database, ACCOUNT, [succeeded(claim, 0, answer=answer)], NOW)
    penstock("result", claim.job_id)
    assert "from the encoder" in capsys.readouterr().err
