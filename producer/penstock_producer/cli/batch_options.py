"""The options of ``penstock batch run`` and ``submit``, and what they say together."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock_producer.batch.options import usd
from penstock_producer.batch.reading.options import FORMATS, Format, ReadOptions
from penstock_shared.errors import InvalidRequest
from penstock_shared.words import TaskType

Input = Annotated[
    str, typer.Argument(metavar="IN", help="a file, a folder, or - for standard input")
]
Template = Annotated[
    str | None,
    typer.Option(help="prompt of a table's row, Jinja2 over its columns; or @FILE"),
]
System = Annotated[str | None, typer.Option(help="system prompt of each row, Jinja2; or @FILE")]
IdColumn = Annotated[str | None, typer.Option(help="column that names a row; default: its number")]
InputFormat = Annotated[
    str | None,
    typer.Option("--format", help="openai, jsonl, csv, parquet or folder; default: recognized"),
]
Chunk = Annotated[int | None, typer.Option(min=1, help="tokens of a piece of a document")]
Overlap = Annotated[int, typer.Option(min=0, help="tokens that a piece repeats of the one before")]
MapPrompt = Annotated[
    str | None, typer.Option("--map", help="prompt of each piece of a document, Jinja2; or @FILE")
]
ReducePrompt = Annotated[
    str | None,
    typer.Option("--reduce", help="prompt that sums up each document, Jinja2 over parts; or @FILE"),
]
Tier = Annotated[str | None, typer.Option(help="default: routed, line by line")]
Kind = Annotated[TaskType | None, typer.Option("--task-type", help="default: recognized")]
Tenant = Annotated[str, typer.Option(help="who asks; tenants never see each other")]
Workflow = Annotated[str | None, typer.Option(help="what this batch is a part of")]
MaxTokens = Annotated[int | None, typer.Option(help="longest answer, in tokens", min=1)]
Temperature = Annotated[float | None, typer.Option(help="0: always the same answer")]
TopP = Annotated[float | None, typer.Option(help="nucleus sampling")]
Seed = Annotated[int | None, typer.Option(help="for temperature > 0")]
Stop = Annotated[list[str] | None, typer.Option(help="text at which an answer ends; may repeat")]
Schema = Annotated[
    Path | None, typer.Option(help="JSON schema that every answer must follow", metavar="FILE")
]
Cache = Annotated[bool, typer.Option(help="take and leave answers in the cache")]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="put wrong lines into ERR and run the others")
]
MaxCost = Annotated[
    str | None, typer.Option(help="pause when this is spent, in USD", metavar="USD")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only check and estimate")]
AsJson = Annotated[bool, typer.Option("--json", help="print facts as one JSON line")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask before money is spent")]
BatchId = Annotated[str, typer.Argument(metavar="ID")]


def read_options(
    *,
    template: str | None,
    system: str | None,
    id_column: str | None,
    input_format: str | None,
    chunk: int | None,
    overlap: int,
    map_prompt: str | None,
    reduce_prompt: str | None,
    tier: str | None,
    task_type: TaskType | None,
    tenant: str,
    workflow: str | None,
    schema: Path | None,
    cache: bool,
    **sampling: Any,
) -> ReadOptions:
    """What the flags say. Raises InvalidRequest."""
    return ReadOptions(
        format=_format(input_format),
        template=_text(template, "--template"),
        system=_text(system, "--system"),
        id_column=id_column,
        chunk_tokens=chunk,
        chunk_overlap=overlap,
        map_prompt=_text(map_prompt, "--map"),
        reduce_prompt=_text(reduce_prompt, "--reduce"),
        tier=tier,
        task_type=None if task_type is None else task_type.value,
        tenant=tenant,
        workflow=workflow,
        cache=None if cache else False,
        sampling={name: value for name, value in sampling.items() if value not in (None, [])},
        response_format=None if schema is None else _response_format(schema),
    )


def usd_option(text: str | None) -> Decimal | None:
    """An amount of --max-cost. Raises InvalidRequest."""
    return None if text is None else usd(text, "--max-cost")


def _format(name: str | None) -> Format | None:
    for known in FORMATS:
        if known == name:
            return known
    if name is None:
        return None
    raise InvalidRequest(f"--format: there is no {name!r}; known are {', '.join(FORMATS)}")


def _text(given: str | None, option: str) -> str | None:
    """The text itself, or that of the file after @."""
    if given is None or not given.startswith("@"):
        return given
    return _read(Path(given[1:]), option)


def _response_format(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(_read(path, "--schema"))
    except ValueError as error:
        raise InvalidRequest(f"--schema: {path} is not JSON ({error})") from None
    if not isinstance(schema, dict):
        raise InvalidRequest(f"--schema: {path} must hold a JSON object")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{option}: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{option}: {path} is not UTF-8 text ({error.reason})") from None
