"""penstock-worker drill: break a stack of our own under load, and check what it promised."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from penstock_shared.errors import SettingsError
from penstock_workers.drill.plan import LONG_SHARE, POISON_SHARE
from penstock_workers.drill.schedule import FaultKind

EXAMPLE: Final = "Example: penstock-worker drill --jobs 10000 --seconds 240 --workers 4"
_LEDGERS: Final = ("sqlite", "postgresql")
out = Console()
err = Console(stderr=True)


def drill(
    jobs: Annotated[int, typer.Option(min=1, help="jobs that the callers submit")] = 500,
    seconds: Annotated[float, typer.Option(min=5, help="for how long things go wrong")] = 60,
    seed: Annotated[int, typer.Option(help="the same seed plans the same jobs and faults")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=64, help="worker processes")] = 3,
    ledger: Annotated[str, typer.Option(help=" or ".join(_LEDGERS))] = "sqlite",
    faults: Annotated[
        int | None, typer.Option(min=0, help="how many; default about one in 3.5 s")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="a new folder for history, ledger and logs, which stays")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
    fault: Annotated[list[FaultKind] | None, typer.Option(hidden=True)] = None,
    long_share: Annotated[float, typer.Option(min=0, max=1, hidden=True)] = LONG_SHARE,
    poison_share: Annotated[float, typer.Option(min=0, max=1, hidden=True)] = POISON_SHARE,
    without: Annotated[list[str] | None, typer.Option(hidden=True)] = None,
) -> None:
    """Break a stack of its own under load, and check that every promise was kept.

    It starts a Redis, a ledger and workers of its own, and touches no others.

    While callers submit jobs, all of these are killed, frozen and cut off.

    Then what the callers wrote down is compared with the ledger.

    Exit status 1: a promise was broken; history, ledger and logs are kept.
    """
    from penstock_workers.drill.report import show
    from penstock_workers.drill.run import Order, run_drill
    from penstock_workers.drill.view import Lines, Screen

    if ledger not in _LEDGERS:
        raise SettingsError(f"--ledger {ledger!r}: write {' or '.join(_LEDGERS)}")
    order = Order(
        jobs=jobs,
        seconds=seconds,
        seed=seed,
        workers=workers,
        ledger="sqlite" if ledger == "sqlite" else "postgresql",
        faults=faults,
        kinds=fault or tuple(FaultKind),
        without=without or (),
        long_share=long_share,
        poison_share=poison_share,
    )
    home = _new_home(keep)
    keeps = True
    try:
        report = run_drill(order, home, Screen(err) if err.is_terminal else Lines(err))
        keeps = keep is not None or not report.ok
    except BaseException:
        err.print(f"stopped; history, ledger and logs are kept in {home}", soft_wrap=True)
        raise
    finally:
        if not keeps:
            shutil.rmtree(home, ignore_errors=True)
    show(report, err if as_json else out, kept_in=home if keeps else None)
    if as_json:
        sys.stdout.write(json.dumps(report.as_json()) + "\n")
    raise typer.Exit(0 if report.ok else 1)


def _new_home(wanted: Path | None) -> Path:
    """An empty folder. Raises SettingsError when the one that is wanted holds something."""
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="penstock-drill-"))
    try:
        wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(wanted.iterdir()):
            raise SettingsError(f"--keep {wanted}: there is something in it; name a new folder")
    except OSError as error:
        raise SettingsError(f"--keep {wanted}: {error.strerror}") from None
    return wanted.absolute()
