"""A process that runs one batch, to be killed: it is forked from one that has its imports."""

import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from penstock_producer.batch.running import RunOptions
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from tests.batch_files import source_of, start

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


class Command(NamedTuple):
    """The command in its process; it ends with 0 when it has done everything.

    ``begun`` has something to receive when the input is checked and the work on it begins.
    """

    process: BaseProcess
    begun: Connection


def start_command(
    settings: Settings, ledger_url: str, source: Path, out: Path, **options: Any
) -> Command:
    """Start it."""
    begun, begins = _CONTEXT.Pipe(duplex=False)
    arguments = (str(settings.home), ledger_url, source, out, options, begins)
    process = _CONTEXT.Process(target=_run, args=arguments)
    process.start()
    begins.close()
    return Command(process, begun)


def _run(
    home: str,
    ledger_url: str,
    source: Path,
    out: Path,
    options: dict[str, Any],
    begins: Connection,
) -> None:
    settings = Settings(home=Path(home), ledger_url=ledger_url)  # type: ignore[arg-type]
    database = Database(ledger_url)
    read = source_of(source, settings, **options)
    run = start(settings, database, read, RunOptions(out=str(out), skip_invalid=True))
    begins.send(None)
    run.run()
