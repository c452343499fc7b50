"""penstock-worker eval speculation and eval batching."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from penstock_shared.cli import settings_of
from penstock_shared.errors import InvalidSuite
from penstock_shared.settings import Settings
from penstock_workers.evals.contender import Contender, contenders
from penstock_workers.evals.options import (
    ENGINE,
    AsJson,
    Folder,
    InTurn,
    Rounds,
    SuiteName,
    err,
    out,
    write_report,
)
from penstock_workers.evals.suite import BUILT_IN, load_suite

SPECULATION_EXAMPLE: Final = (
    "Example: penstock-worker eval speculation --engine large --draft penstock-toys/draft"
)
BATCHING_EXAMPLE: Final = "Example: penstock-worker eval batching --engine large --most 128"
NGRAM_WINDOW: Final = 4

One = Annotated[str | None, typer.Option(help=f"{ENGINE}; default the largest tier")]


def speculation(
    suite: SuiteName = BUILT_IN,
    engine: One = None,
    draft: Annotated[
        list[str] | None, typer.Option(help="draft model: folder or hub name; repeatable")
    ] = None,
    tokens: Annotated[
        list[int] | None, typer.Option(min=1, help="tokens drafted per step; default 2 and 4")
    ] = None,
    ngram: Annotated[bool, typer.Option(help="also draft from the text so far")] = True,
    config: Annotated[
        list[str] | None, typer.Option(help="a further speculative_config as JSON; repeatable")
    ] = None,
    batch_size: Annotated[
        list[int] | None, typer.Option(min=1, help="requests at once; default 1, 4, 16 and 64")
    ] = None,
    rounds: Rounds = 3,
    in_turn: InTurn = False,
    folder: Folder = Path("eval-speculation"),
    as_json: AsJson = False,
) -> None:
    """Measure where drafting tokens ahead is faster, and recommend a schedule."""
    from penstock_workers.evals import tables
    from penstock_workers.evals.pictures import draw_speculation
    from penstock_workers.evals.progress import Bars
    from penstock_workers.evals.speculation.measure import (
        BATCH_SIZES,
        Speculating,
        measure_speculation,
    )
    from penstock_workers.evals.speculation.variants import variant_of

    baseline = _one(engine, settings_of())
    configs = [*_configs(draft or [], tokens or [2, 4], ngram=ngram), *map(_json, config or [])]
    plan = Speculating(
        suite=load_suite(suite),
        baseline=baseline,
        variants=[variant_of(baseline, values) for values in configs],
        folder=folder,
        batch_sizes=tuple(batch_size or BATCH_SIZES),
        rounds=rounds,
        in_turn=in_turn,
    )
    with Bars(err) as bars:
        report = measure_speculation(plan, bars)
    draw_speculation(report, folder / "speculation.png")
    write_report(report, folder / "speculation.json", as_json=as_json)
    if not as_json:
        tables.speculation(report, out)
        err.print(f"report and picture are in {folder}")


def batching(
    suite: SuiteName = BUILT_IN,
    engine: One = None,
    most: Annotated[int, typer.Option(min=1, help="the most requests at once")] = 256,
    rounds: Rounds = 3,
    folder: Folder = Path("eval-batching"),
    as_json: AsJson = False,
) -> None:
    """Measure throughput and latency against concurrent sequences, and recommend a number."""
    from penstock_workers.evals import tables
    from penstock_workers.evals.batching.measure import Batching, measure_batching
    from penstock_workers.evals.pictures import draw_batching
    from penstock_workers.evals.progress import Bars

    plan = Batching(
        suite=load_suite(suite),
        contender=_one(engine, settings_of()),
        folder=folder,
        most=most,
        rounds=rounds,
    )
    with Bars(err) as bars:
        report = measure_batching(plan, bars)
    draw_batching(report, folder / "batching.png")
    write_report(report, folder / "batching.json", as_json=as_json)
    if not as_json:
        tables.batching(report, out)
        err.print(f"report and picture are in {folder}")


def _one(engine: str | None, settings: Settings) -> Contender:
    return contenders([engine or settings.largest_tier], settings)[0]


def _configs(drafts: list[str], tokens: list[int], *, ngram: bool) -> Iterator[dict[str, Any]]:
    for number in tokens:
        for draft in drafts:
            yield {"method": "draft_model", "model": draft, "num_speculative_tokens": number}
        if ngram:
            yield {
                "method": "ngram",
                "num_speculative_tokens": number,
                "prompt_lookup_max": NGRAM_WINDOW,
            }


def _json(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InvalidSuite(f"--config {text!r} is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise InvalidSuite(f"--config {text!r} is no JSON object")
    return values
