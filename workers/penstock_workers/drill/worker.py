"""A worker of the drill: a real one in all but its engine and its tokenizer."""

import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from penstock_shared.cli import guarded, settings_of
from penstock_shared.stack.processes import end_with_parent
from penstock_workers.assembly import assemble
from penstock_workers.drill import sabotage
from penstock_workers.drill.engine import ENGINE
from penstock_workers.drill.script import TIER, ScriptTokenizer
from penstock_workers.rendering import Renderer

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def run(
    ready_file: Annotated[
        Path | None, typer.Option(help="created when the worker is ready")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="a safeguard that is taken out")] = None,
) -> None:
    """Run one worker of the drill until SIGTERM."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    sabotage.apply(without or ())
    end_with_parent(signal.SIGKILL)  # the drill may end while we are frozen, deaf to all others

    def announce() -> None:
        if ready_file is not None:
            ready_file.touch()

    renderer = Renderer(ScriptTokenizer())
    assemble(settings_of(), TIER, engine_host=ENGINE, renderer=renderer).run(on_ready=announce)


if __name__ == "__main__":
    guarded(app)
