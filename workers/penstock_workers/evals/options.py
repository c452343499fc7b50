"""Options and habits that the commands of penstock-worker eval share."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import BaseModel
from rich.console import Console

from penstock_workers.evals.suite import BUILT_IN

out = Console()
err = Console(stderr=True)

ENGINE: Final = "[NAME=]BASE[,option=value...]; BASE is a tier, a model folder or a hub name"
SuiteName = Annotated[
    str, typer.Argument(metavar="SUITE", help=f"JSONL file, or {BUILT_IN} for the built-in one")
]
InTurn = Annotated[
    bool, typer.Option("--in-turn", help="load one engine at a time, where two find no room")
]
AsJson = Annotated[bool, typer.Option("--json", help="print the report as JSON")]
Folder = Annotated[Path, typer.Option("--out", help="folder for report, picture and logs")]
Rounds = Annotated[int, typer.Option(min=1, help="how often each run is made")]


def write_report(report: BaseModel, path: Path, *, as_json: bool) -> None:
    """Write the report as JSON, and print it too where that was asked for."""
    text = report.model_dump_json(indent=2) + "\n"
    path.write_text(text, encoding="utf-8")
    if as_json:
        sys.stdout.write(text)
