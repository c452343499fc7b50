"""How ``penstock batch run`` ends: what it says, and with which exit status."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console

from penstock_producer.batch.output_places import Places
from penstock_producer.batch.pausing import BY_OPERATOR, INTERRUPTED, has_spent_all
from penstock_producer.batch.running import RunOptions, Summary
from penstock_producer.batch.shape import Shape, is_standard_output
from penstock_producer.cli import batch_words as words
from penstock_producer.cli.facts import print_json
from penstock_shared import money
from penstock_shared.errors import BatchFailed, BatchStopped, MaxCostReached
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.words import BatchState


def pause_and_leave(
    database: Database, batch_id: str, console: Console, exit_status: int
) -> NoReturn:
    """Stop spending; the same command, or an operator, goes on later."""
    record = records.pause(database, batch_id, reason=INTERRUPTED)
    if record.state is BatchState.PAUSED:
        console.print(
            f"paused: batch {batch_id}; to go on, run the same command, "
            f"or: penstock batch resume {batch_id}",
            markup=False,
            soft_wrap=True,
        )
    raise typer.Exit(exit_status)


def report(
    summary: Summary, run: RunOptions, console: Console, facts: Mapping[str, Any] | None
) -> None:
    """Say what there is now: in words, or with these other ``facts`` as JSON.

    Raises BatchFailed, MaxCostReached or BatchStopped.
    """
    if facts is None:
        console.print(in_words(summary, run), markup=False, soft_wrap=True)
    else:
        stream = sys.stderr if is_standard_output(run.out) else sys.stdout
        print_json({**facts_of(summary), **facts}, stream)
    _raise_for(summary)


def in_words(summary: Summary, run: RunOptions) -> str:
    """What became of the lines, where they are, and what they cost."""
    counts = summary.counts
    facts = [f"{counts.succeeded:,} of {summary.record.total:,} lines have an answer"]
    if counts.without_answer:
        facts.append(f"{counts.without_answer:,} failed, see {_error_file(summary, run)}")
    facts += [
        f"{summary.cached:,} cached",
        f"{summary.tokens:,} tokens",
        words.dollars(summary.cost_usd),
        words.duration(summary.seconds),
    ]
    return " · ".join(facts)


def _error_file(summary: Summary, run: RunOptions) -> str:
    """Where the lines without an answer are, as short as a person would write it."""
    out = run.out or ""
    place = Places.of(Shape.of(summary.record), out, run.errors).errors or out
    if is_standard_output(place):
        return "standard output"
    path = Path(place)
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def facts_of(summary: Summary) -> dict[str, Any]:
    """For scripts; money is exact decimals in USD."""
    return {
        "batch_id": summary.record.id,
        "state": summary.record.state.value,
        "stopped_by": summary.record.stopped_by,
        "total": summary.record.total,
        "counts": summary.counts._asdict(),
        "cached": summary.cached,
        "tokens": summary.tokens,
        "cost_usd": money.usd_text(summary.cost_usd),
        "out_lines": summary.out_lines,
        "error_lines": summary.error_lines,
        "seconds": round(summary.seconds, 3),
    }


def _raise_for(summary: Summary) -> None:
    record = summary.record
    if summary.all_failed:
        raise BatchFailed(
            f"not one of the {record.total:,} lines has an answer; "
            f"'penstock batch show {record.id}' says why"
        )
    if record.state is BatchState.CANCELLED:
        raise BatchStopped(
            f"batch {record.id} was cancelled; what was done is written; to answer the others, "
            "take its files away and run the same command"
        )
    if record.state is BatchState.PAUSED:
        _raise_for_pause(record)


def _raise_for_pause(record: BatchRecord) -> NoReturn:
    if has_spent_all(record):
        raise MaxCostReached(
            f"batch {record.id} is paused: {record.stopped_by}; what is done is written; "
            "to go on, run the same command with a higher --max-cost"
        )
    raise BatchStopped(
        f"batch {record.id} is paused ({record.stopped_by or BY_OPERATOR}); "
        f"what is done is written; to go on: penstock batch resume {record.id}"
    )
