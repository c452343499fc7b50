"""penstock-worker eval: measure engine configurations, and decide by the measurements."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from penstock_shared.cli import settings_of
from penstock_shared.errors import InvalidSuite
from penstock_shared.settings import Settings
from penstock_workers.evals import cli_speed
from penstock_workers.evals.contender import Contender, contenders
from penstock_workers.evals.options import (
    ENGINE,
    AsJson,
    Folder,
    InTurn,
    SuiteName,
    err,
    out,
    write_report,
)
from penstock_workers.evals.suite import BUILT_IN, load_suite

app = typer.Typer(
    help="Measure engine configurations on your own prompts, and decide by what was measured.",
    no_args_is_help=True,
)


@app.command(
    epilog="Example: penstock-worker eval quality suite.jsonl --engine large "
    "--engine int8=large,model=./large-int8"
)
def quality(
    suite: SuiteName = BUILT_IN,
    engine: Annotated[list[str] | None, typer.Option(help=f"{ENGINE}; repeatable")] = None,
    reference: Annotated[
        str | None, typer.Option(help="engine to compare with; default the first, or largest tier")
    ] = None,
    judge: Annotated[str | None, typer.Option(help="tier or model that judges")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="requests at once")] = 16,
    in_turn: InTurn = False,
    folder: Folder = Path("eval-quality"),
    as_json: AsJson = False,
) -> None:
    """Score engine configurations on a suite. Interrupted, the same command goes on."""
    from penstock_workers.evals import tables
    from penstock_workers.evals.pictures import draw_quality
    from penstock_workers.evals.progress import Bars
    from penstock_workers.evals.quality.journal import Journal
    from penstock_workers.evals.quality.measure import measure_quality
    from penstock_workers.evals.quality.plan import Quality

    settings = settings_of()
    plan = Quality(
        suite=load_suite(suite),
        contenders=_reference_first(engine, reference, settings),
        journal=Journal(folder),
        judge=contenders([judge], settings)[0] if judge else None,
        concurrency=concurrency,
        in_turn=in_turn,
    )
    try:
        with Bars(err) as bars:
            report = measure_quality(plan, bars, folder / "wrong.jsonl")
    except KeyboardInterrupt:
        err.print(f"stopped; what was answered is in {folder}, the same command goes on from there")
        raise
    draw_quality(report, folder / "quality.png")
    write_report(report, folder / "quality.json", as_json=as_json)
    if not as_json:
        tables.quality(report, out)
        err.print(f"report, picture and wrong answers are in {folder}")


app.command(epilog=cli_speed.SPECULATION_EXAMPLE)(cli_speed.speculation)
app.command(epilog=cli_speed.BATCHING_EXAMPLE)(cli_speed.batching)


@app.command(epilog="Example: penstock-worker eval gates --tolerance 0.05")
def gates(
    report: Annotated[Path, typer.Argument(help="what eval quality wrote about the tiers")] = Path(
        "eval-quality/quality.json"
    ),
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="how much worse than the reference a tier may be")
    ] = 0.05,
    file: Annotated[
        Path | None, typer.Option("--out", help="default: gates.json where the router reads it")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide which task types each tier may serve, and write it where the router reads it."""
    from penstock_workers.evals import tables
    from penstock_workers.evals.quality.gates import gates_of, write_gates
    from penstock_workers.evals.quality.scores import read_quality

    settings = settings_of()
    found = gates_of(read_quality(report), settings.tiers, tolerance)
    place = file or settings.gates_file
    write_gates(found, place)
    if as_json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    else:
        tables.gates(found, out)
        err.print(f"written to {place}; the router obeys from its next start on")


def _reference_first(
    specs: list[str] | None, reference: str | None, settings: Settings
) -> list[Contender]:
    found = contenders(specs or (), settings)
    name = reference or (found[0].name if specs else settings.largest_tier)
    first = [contender for contender in found if contender.name == name]
    if not first:
        names = ", ".join(contender.name for contender in found)
        raise InvalidSuite(f"--reference {name!r} is none of the engines ({names})")
    return first + [contender for contender in found if contender.name != name]
