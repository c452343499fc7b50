"""penstock-worker cache: measure what the cache of answers serves."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from penstock_shared.cli import settings_of
from penstock_workers.cache.evaluating.pairs import InvalidPairs, Pair, load_pairs, read_pairs

_WRONG_USAGE: Final = 2
_STDIN: Final = "-"

app = typer.Typer(
    help="The cache of answers: measure on pairs of yours what it serves.",
    no_args_is_help=True,
)
out = Console()
err = Console(stderr=True, soft_wrap=True)


@app.callback()
def _group() -> None:
    """Keep ``eval`` a command of its own while it is the only one."""


def _share(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= 1:
        raise typer.BadParameter(f"{value} is not between 0 and 1")
    return value


def _png(path: Path | None) -> Path | None:
    if path is None:
        return None
    if path.suffix.lower() != ".png":
        raise typer.BadParameter(f"{path} must end in .png")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise typer.BadParameter(f"{path} cannot be written")
    return path


@app.command("eval", epilog="Example: penstock-worker cache eval pairs.jsonl --curve curve.png")
def evaluate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PAIRS.jsonl",
            help='lines of {"a": ..., "b": ..., "same": true|false}; - reads standard input',
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
    curve: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", callback=_png, help="draw precision against recall into this file"
        ),
    ] = None,
    misses: Annotated[
        bool, typer.Option("--misses", help="list every same pair that is no hit, and why")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(callback=_share, help="cosine that nominates; default cache.threshold"),
    ] = None,
    bare_threshold: Annotated[
        float, typer.Option(callback=_share, help="cosine from which bare cosine serves")
    ] = 0.95,
    min_precision: Annotated[
        float | None, typer.Option(callback=_share, help="exit status 1 below this share")
    ] = None,
    min_recall: Annotated[
        float | None, typer.Option(callback=_share, help="exit status 1 below this share")
    ] = None,
) -> None:
    """Report hits, precision and recall of the cache on labelled pairs, and every wrong hit.

    In a pair, a is asked and b was answered before. Both are text or chat messages.
    """
    pairs = _pairs(source)
    from penstock_workers.cache.evaluating import tables
    from penstock_workers.cache.evaluating.judging import judge
    from penstock_workers.cache.evaluating.report import report_on
    from penstock_workers.cache.verifier import verify
    from penstock_workers.encoder import Encoder
    from penstock_workers.evals.progress import Bars

    settings = settings_of().cache
    err.print(f"loading the encoder {settings.encoder}", markup=False)
    encoder = Encoder.load(settings.encoder)
    with Bars(err) as bars:
        judged = judge(
            pairs,
            encoder,
            verify,
            max_question_chars=settings.max_question_chars,
            progress=bars,
        )
    report = report_on(
        judged,
        threshold=settings.threshold if threshold is None else threshold,
        bare_threshold=bare_threshold,
        encoder=encoder.name,
        with_misses=misses,
    )
    if curve is not None:
        from penstock_workers.cache.evaluating.picture import draw

        draw(judged, report, curve, name=_name_of(source))
    if as_json:
        sys.stdout.write(report.model_dump_json(exclude=None if misses else {"misses"}) + "\n")
    else:
        tables.show(report, out)
    met = [
        _is_met("precision", report.precision, min_precision),
        _is_met("recall", report.recall, min_recall),
    ]
    raise typer.Exit(0 if all(met) else 1)


def _pairs(source: str) -> list[Pair]:
    """The pairs of a file; without them, say what is wrong and leave with exit status 2."""
    try:
        if source == _STDIN:
            return read_pairs(sys.stdin.buffer.read(), _name_of(source))
        return load_pairs(Path(source), source)
    except InvalidPairs as error:
        for problem in error.problems:
            err.print(problem, markup=False, highlight=False)
        raise typer.Exit(_WRONG_USAGE) from None


def _name_of(source: str) -> str:
    return "standard input" if source == _STDIN else Path(source).name


def _is_met(name: str, share: float | None, least: float | None) -> bool:
    if least is None or (share is not None and share >= least):
        return True
    shown = "unknown" if share is None else f"{share:.4f}"
    err.print(f"{name} is {shown}, and {least:g} was asked for", highlight=False)
    return False
