"""How ``penstock batch`` ends when it is stopped before its batch is loaded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from tests.rig import eventually

_PENSTOCK = "from penstock_producer.cli.main import run; run()"
_LINE = (
    '{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", '
    '"body": {"messages": [{"role": "user", "content": "What?"}]}}\n'
)


def a_home(folder: Path, settings: str = "") -> dict[str, str]:
    """The environment of commands with a new home and ledger."""
    ledger = Database(f"sqlite:///{folder / 'ledger.db'}")
    Path(folder / "ledger.db").touch()
    migrate(ledger)
    ledger.close()
    (folder / "penstock.toml").write_text(settings)
    return {**os.environ, "PENSTOCK_HOME": str(folder)}


def test_a_command_that_is_stopped_while_it_reads_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PENSTOCK, "batch", "run", "-", "-o", "out.jsonl"]
    environment = a_home(tmp_path)
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, cwd=tmp_path) as process:
        eventually(lambda: list(tmp_path.glob("batch-*/standard-input")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert list(tmp_path.glob("batch-*")) == []


def test_submit_says_which_batch_a_budget_stopped(tmp_path: Path) -> None:
    budget = '[[budgets]]\ntenant = "default"\nper = "day"\nusd = "0.0000000001"\n'
    environment = a_home(tmp_path, budget)
    (tmp_path / "in.jsonl").write_text(_LINE)
    command = [sys.executable, "-c", _PENSTOCK, "batch", "submit", "in.jsonl"]
    ids = set()
    for _ in range(2):  # the second one finds the batch that the first one began
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 80, done.stderr
        assert "0 of 1 lines are loaded" in done.stderr
        ids.add(done.stdout)
    [batch] = ids
    assert batch.startswith("batch_")
