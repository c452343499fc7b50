"""Inputs of batches for tests, and what their outputs must be."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penstock_producer.batch.preparing import prepare
from penstock_producer.batch.reading import ReadOptions, Source
from penstock_producer.batch.running import BatchRun, RunOptions, Summary
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings


def a_batch_file(path: Path, questions: Sequence[str], *, model: str = "small") -> Path:
    """A file of the OpenAI Batch API; custom ids are line-1, line-2 and so on."""
    with path.open("w", encoding="utf-8") as file:
        for number, question in enumerate(questions, start=1):
            body = {"model": model, "messages": [{"role": "user", "content": question}]}
            url = "/v1/chat/completions"
            line = {"custom_id": f"line-{number}", "method": "POST", "url": url, "body": body}
            file.write(json.dumps(line) + "\n")
    return path


def a_csv(path: Path, questions: Sequence[str]) -> Path:
    """A table with the columns id and question."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "question"])
        writer.writerows((f"line-{n}", question) for n, question in enumerate(questions, 1))
    return path


def source_of(path: Path, settings: Settings, **options: Any) -> Source:
    """An input that is read."""
    return Source.open(str(path), ReadOptions(**options), settings, spool=settings.home)


def start(settings: Settings, database: Database, source: Source, options: RunOptions) -> BatchRun:
    """A command that has found its batch."""
    run = BatchRun(settings, database, source, options)
    run.start(prepare(source, settings))
    return run


def run_batch(
    settings: Settings, database: Database, source: Source, options: RunOptions
) -> Summary:
    """The whole command."""
    return start(settings, database, source, options).run()


def objects(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSON Lines file; none when there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def custom_ids(*paths: Path) -> Counter[str]:
    """How often each custom_id stands in the files together."""
    return Counter(line["custom_id"] for path in paths for line in objects(path))


def questions(count: int) -> list[str]:
    """Different ones, which the worker without an engine answers."""
    return [f"What is {number}?" for number in range(count)]


def options_in(folder: Path, **changes: object) -> RunOptions:
    """OUT is out.jsonl in a folder."""
    return RunOptions(**{"out": str(folder / "out.jsonl"), **changes})  # type: ignore[arg-type]
