"""What both commands share: the home option, and errors that are one clear line."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from penstock_shared.errors import PenstockError
from penstock_shared.settings import Settings, load_settings

Home = Annotated[
    Path | None,
    typer.Option("--home", envvar="PENSTOCK_HOME", help="where state lives; default ~/.penstock"),
]
_INTERRUPTED = 130


def settings_of(*, of_stack: bool = True) -> Settings:
    """The settings in force; --home has put its value into PENSTOCK_HOME."""
    return load_settings(of_stack=of_stack)


def guarded(app: typer.Typer) -> None:
    """Run a command line. Exit statuses: 0 done, 2 wrong usage, else that of the error raised."""
    try:
        app()
    except PenstockError as error:
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]error[/] ({error.code}): ", end="", highlight=False
        )
        sys.stderr.write(f"{error.message}\n")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
