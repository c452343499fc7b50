"""A process that runs one batch, to be killed: it is forked from one that has its imports."""

import multiprocessing
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from penstock_producer.batch.running import RunOptions
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from tests.batch_files import run_batch, source_of

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


def start_command(
    settings: Settings, ledger_url: str, source: Path, out: Path, **options: Any
) -> BaseProcess:
    """The command in its process; it ends with 0 when it has done everything."""
    arguments = (str(settings.home), ledger_url, source, out, options)
    process = _CONTEXT.Process(target=_run, args=arguments)
    process.start()
    return process


def _run(home: str, ledger_url: str, source: Path, out: Path, options: dict[str, Any]) -> None:
    settings = Settings(home=Path(home), ledger_url=ledger_url)  # type: ignore[arg-type]
    database = Database(ledger_url)
    read = source_of(source, settings, **options)
    run_batch(settings, database, read, RunOptions(out=str(out), skip_invalid=True))
