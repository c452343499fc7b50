"""``penstock up | demo | migrate``: the embedded stack and its ledger."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.console import Console
from sqlalchemy import make_url

from penstock_shared.cli import settings_of
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate as migrate_ledger
from penstock_shared.settings import Settings
from penstock_shared.stack.home import hold
from penstock_shared.stack.stack import Stack

UP_EXAMPLES: Final = "Examples: penstock up; penstock --home ./state up --tier small"
DEMO_EXAMPLES: Final = "Example: penstock demo"
MIGRATE_EXAMPLES: Final = (
    "Example: PENSTOCK_LEDGER_URL=postgresql://penstock@db/penstock penstock migrate"
)
out = Console(highlight=False, emoji=False)


def up(
    tier: Annotated[list[str] | None, typer.Option(help="only this tier; may repeat")] = None,
) -> None:
    """Run Redis, the ledger, a worker for each tier and Flower, until Ctrl-C."""
    settings = settings_of(of_stack=False)
    with hold(settings.home), suppress(KeyboardInterrupt), running(settings, tier) as stack:
        _announce(stack)
        while True:
            for name in stack.tend():
                out.print(f"[yellow]{name} ended; it is started again[/] (its log is in "
                          f"{settings.home / 'logs'})")  # fmt: skip
            time.sleep(0.5)


def demo(
    keep: Annotated[bool, typer.Option(help="keep the demo's home folder to look at")] = False,
) -> None:
    """Send a file of real-looking traffic through three tiers and show what it cost."""
    from penstock_producer.demo.run import run_demo

    home = Path(tempfile.mkdtemp(prefix="penstock-demo-"))
    try:
        settings = settings_of(of_stack=False).model_copy(
            update={"home": home, "ledger_url": None, "broker_url": None}
        )
        with hold(home), own_terminal():
            run_demo(settings, out)
    finally:
        if keep:
            out.print(f"the demo's home: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def migrate() -> None:
    """Create the ledger's tables, or bring them to this version."""
    database = Database(settings_of().ledger)
    migrate_ledger(database)
    out.print(f"the ledger at {database.url.render_as_string(hide_password=True)} is up to date")
    database.close()


@contextmanager
def running(settings: Settings, tiers: list[str] | None = None) -> Iterator[Stack]:
    """The stack, ready; stopped in order at the end, also on KeyboardInterrupt and SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell may have told us to ignore SIGINT
        signal.signal(number, _interrupt)
    stack = Stack(settings, tiers=tiers)
    try:
        with out.status("starting Redis and the ledger") as progress:
            stack.start()
            progress.update(f"loading the engines of {', '.join(stack.workers)}")
            stack.wait_ready(lambda tier: out.print(f"[green]ready[/] {tier}"))
        yield stack
    finally:
        out.print("stopping")
        stack.stop()


@contextmanager
def own_terminal() -> Iterator[None]:
    """Let Ctrl-C reach us alone: under make, it would also make make report a failure."""
    group = os.getpgrp()
    if not sys.stdin.isatty() or group == os.getpid() or os.tcgetpgrp(0) != group:
        yield
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # we may write to the terminal's settings
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(0, group)


def _announce(stack: Stack) -> None:
    home = stack.settings.home
    flag = f"--home {home} "
    out.print(
        f"\n[bold]Penstock is up.[/] Try next, in another terminal:\n\n"
        f"  penstock {flag}submit 'What is the capital of France?' --wait 60\n"
        f"  penstock {flag}submit 'Dịch sang tiếng Anh: Dòng sông màu đỏ' --wait 60 --json\n\n"
        f"Flower   http://127.0.0.1:{stack.flower_port} "
        f"(user {stack.settings.flower.user}, password in {home / 'secrets.json'})\n"
        f"Ledger   {make_url(stack.settings.ledger).render_as_string(hide_password=True)}\n"
        f"Logs     {home / 'logs'}\n\nCtrl-C stops everything.",
        soft_wrap=True,
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
