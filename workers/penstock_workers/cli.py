"""The command ``penstock-worker``."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from penstock_shared.cli import Home, guarded, settings_of
from penstock_shared.errors import SettingsError
from penstock_workers.cache.cli import app as cache
from penstock_workers.drill import cli as drill_cli
from penstock_workers.evals.cli import app as evals

app = typer.Typer(
    help="The GPU side of Penstock: run workers, watch them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(evals, name="eval")
app.add_typer(cache, name="cache")
app.command(epilog=drill_cli.EXAMPLE)(drill_cli.drill)
out = Console()
err = Console(stderr=True)


@app.callback()
def _main(home: Home = None) -> None:
    if home is not None:
        os.environ["PENSTOCK_HOME"] = str(home)


@app.command(epilog="Example: penstock-worker run --tier small")
def run(
    tier: Annotated[str, typer.Option(help="which tier this worker serves")],
    ready_file: Annotated[
        Path | None, typer.Option(help="created when the worker is ready")
    ] = None,
) -> None:
    """Run one worker of one tier until SIGTERM."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    from penstock_workers.assembly import assemble

    def announce() -> None:
        err.print(f"worker of tier {tier} is ready")
        if ready_file is not None:
            ready_file.touch()

    assemble(settings_of(), tier).run(on_ready=announce)


@app.command(epilog="Example: penstock-worker flower")
def flower() -> None:
    """Run Flower on loopback behind a password, read-only."""
    settings = settings_of()
    password = settings.flower.password
    if password is None:
        raise SettingsError("flower.password is not set; set PENSTOCK_FLOWER__PASSWORD")
    from penstock_shared.broker import make_app

    arguments = [
        "flower",
        f"--address={settings.flower.host}",
        f"--port={settings.flower.port}",
        f"--basic_auth={settings.flower.user}:{password.get_secret_value()}",
        "--read_only=True",
        "--task_runtime_metric_buckets=0.1,0.3,1,3,10,30,100,300,1000,inf",
    ]
    make_app(settings).start(argv=arguments)


@app.command(epilog="Example: penstock-worker health --tier small --json")
def health(
    tier: Annotated[str | None, typer.Option(help="only workers of this tier")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print facts as JSON")] = False,
) -> None:
    """Test that the workers of this home make progress; exit status 1 when one does not."""
    from penstock_workers.health import check

    found = check(settings_of().home, tier)
    ok = bool(found) and all(h.healthy for h in found)
    if as_json:
        facts: list[dict[str, Any]] = [h._asdict() for h in found]
        sys.stdout.write(json.dumps({"ok": ok, "workers": facts}) + "\n")
    else:
        for h in found:
            mark = "[green]ok[/]" if h.healthy else "[red]unhealthy[/]"
            out.print(f"{mark}  {h.sign.get('worker_id', '?')}: {h.reason}")
        if not found:
            err.print("no worker of this home has written a sign of life; start one")
    raise typer.Exit(0 if ok else 1)


def main() -> None:
    """Entry point: errors of ours become one line and their exit status."""
    guarded(app)
