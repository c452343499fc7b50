"""``penstock batch run | submit``: an input becomes jobs, and their answers become a file."""

from typing import Annotated, Any, Final

import typer

from penstock_producer.batch.running import RunOptions
from penstock_producer.cli import batch_options as options
from penstock_producer.cli.batch_work import Plan, load, work

RUN_EXAMPLES: Final = (
    "Examples: penstock batch run questions.jsonl -o answers.jsonl --max-cost 5; "
    "penstock batch run news.csv -o news.out.csv --template 'Tóm tắt: {{ text }}' --id-column id; "
    "zcat big.jsonl.gz | penstock batch run - -o - > answers.jsonl"
)
SUBMIT_EXAMPLES: Final = "Example: penstock batch submit questions.jsonl --workflow nightly"
_NOT_READING: Final = {
    "path", "out", "errors", "skip_invalid", "max_cost", "dry_run", "as_json", "yes"
}  # fmt: skip


def run(
    path: options.Input,
    out: Annotated[str, typer.Option("--out", "-o", help="answers; - is standard output")],
    errors: Annotated[
        str | None, typer.Option(help="lines without an answer; default: OUT.errors.jsonl")
    ] = None,
    template: options.Template = None,
    system: options.System = None,
    id_column: options.IdColumn = None,
    input_format: options.InputFormat = None,
    chunk: options.Chunk = None,
    overlap: options.Overlap = 0,
    map_prompt: options.MapPrompt = None,
    reduce_prompt: options.ReducePrompt = None,
    tier: options.Tier = None,
    task_type: options.Kind = None,
    tenant: options.Tenant = "default",
    workflow: options.Workflow = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    schema: options.Schema = None,
    cache: options.Cache = True,
    skip_invalid: options.SkipInvalid = False,
    max_cost: options.MaxCost = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    yes: options.Yes = False,
) -> None:
    """Answer every line of a file; stopped anywhere, the same command goes on.

    Exit status 0 when lines have answers, 1 when none has, 79 when --max-cost stopped it.
    """
    given = dict(locals())
    work(_plan(given))


def submit(
    path: options.Input,
    template: options.Template = None,
    system: options.System = None,
    id_column: options.IdColumn = None,
    input_format: options.InputFormat = None,
    chunk: options.Chunk = None,
    overlap: options.Overlap = 0,
    map_prompt: options.MapPrompt = None,
    reduce_prompt: options.ReducePrompt = None,
    tier: options.Tier = None,
    task_type: options.Kind = None,
    tenant: options.Tenant = "default",
    workflow: options.Workflow = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    schema: options.Schema = None,
    cache: options.Cache = True,
    skip_invalid: options.SkipInvalid = False,
    max_cost: options.MaxCost = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    yes: options.Yes = False,
) -> None:
    """Load every line into the ledger, print the batch's id, and do not wait for answers."""
    given = dict(locals())
    load(_plan(given))


def _plan(given: dict[str, Any]) -> Plan:
    """What the flags say, by the names of the parameters above."""
    reading = {name: value for name, value in given.items() if name not in _NOT_READING}
    return Plan(
        given["path"],
        options.read_options(**reading),
        RunOptions(
            out=given.get("out"),
            errors=given.get("errors"),
            skip_invalid=given["skip_invalid"],
            max_cost_usd=options.usd_option(given["max_cost"]),
            tenant=given["tenant"],
            workflow=given["workflow"],
        ),
        dry_run=given["dry_run"],
        as_json=given["as_json"],
        yes=given["yes"],
    )
