"""``penstock submit | result | status | cancel``."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock_producer.cli.facts import harmless, on_one_line, print_json
from penstock_producer.client import Client, Job
from penstock_shared.cli import settings_of
from penstock_shared.errors import InvalidRequest, JobNotSucceeded, PenstockError, ResultTimeout
from penstock_shared.result import Result
from penstock_shared.words import RequestKind, TaskType

SUBMIT_EXAMPLES: Final = (
    "Examples: penstock submit 'Which city is the capital of France?' --wait 60 --json; "
    "cat report.txt | penstock submit - --task-type summarization"
)
RESULT_EXAMPLES: Final = "Example: penstock result JOB --wait 30 --json"
STATUS_EXAMPLES: Final = "Example: penstock status JOB1 JOB2"
CANCEL_EXAMPLES: Final = "Example: penstock cancel JOB"

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

AsJson = Annotated[bool, typer.Option("--json", help="print facts as one JSON line")]
Wait = Annotated[float | None, typer.Option(help="seconds to wait for the answer", min=0)]


def submit(
    text: Annotated[str, typer.Argument(help="the prompt; - reads it from standard input")],
    tier: Annotated[str | None, typer.Option(help="default: routed")] = None,
    wait: Wait = None,
    system: Annotated[str | None, typer.Option(help="system prompt")] = None,
    task_type: Annotated[TaskType | None, typer.Option(help="default: recognized")] = None,
    tenant: Annotated[str, typer.Option(help="who asks; tenants never see each other")] = "default",
    workflow: Annotated[str | None, typer.Option(help="an agent's run of many calls")] = None,
    deadline: Annotated[float | None, typer.Option(help="seconds until it is too late")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="same key, same job")] = None,
    max_tokens: Annotated[int, typer.Option(help="longest answer, in tokens")] = 256,
    temperature: Annotated[float, typer.Option(help="0: always the same answer")] = 0.0,
    top_p: Annotated[float, typer.Option(help="nucleus sampling")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="for temperature > 0")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="text at which the answer ends")] = None,
    cache: Annotated[bool, typer.Option(help="take and leave answers in the cache")] = True,
    kind: Annotated[RequestKind, typer.Option(help="what is asked for")] = RequestKind.CHAT,
    schema: Annotated[Path | None, typer.Option(help="JSON Schema that the answer matches")] = None,
    as_json: AsJson = False,
) -> None:
    """Submit one prompt; with --wait, print the answer."""
    prompt: Any = _read_stdin() if text == "-" else text
    if system is not None:
        prompt = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
    response_format = None if schema is None else _format_of(schema)
    with Client(settings_of()) as client:
        job = client.submit(
            prompt,
            tier=tier,
            task_type=task_type,
            tenant=tenant,
            workflow=workflow,
            deadline=deadline,
            idempotency_key=idempotency_key,
            cache=cache,
            kind=kind,
            response_format=response_format,
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            stop=stop,
        )
        if not job.published:
            err.print(
                "[yellow]accepted[/], but Redis does not answer: a worker publishes the job "
                "when it is back ('penstock up' starts both)"
            )
        _show(client, job, wait, as_json=as_json)


def result(
    job_id: Annotated[str, typer.Argument(metavar="JOB")],
    wait: Wait = None,
    as_json: AsJson = False,
) -> None:
    """Print a job's answer, price and history; exit status 1 when it ended without an answer."""
    with Client(settings_of()) as client:
        _show(client, client.job(job_id), wait, as_json=as_json)


def status(
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB...")], as_json: AsJson = False
) -> None:
    """Print where jobs stand."""
    with Client(settings_of()) as client:
        found = [client.fetch(job_id) for job_id in job_ids]
    if as_json:
        for each in found:
            print_json({"job_id": each.job_id, "status": each.status, "tier": each.tier})
        return
    table = Table("status", "tier", "attempts", "why this tier")
    table.add_column("job", no_wrap=True)
    for each in found:
        why = escape(each.reason)
        table.add_row(each.status, each.tier, str(each.attempts), why, escape(each.job_id))
    out.print(table)


def cancel(
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB...")], as_json: AsJson = False
) -> None:
    """Withdraw jobs; a running one ends within a heartbeat."""
    with Client(settings_of()) as client:
        for job_id in job_ids:
            state = client.cancel(job_id)
            if as_json:
                print_json({"job_id": job_id, "status": state})
            elif state.is_terminal:
                out.print(f"{job_id} {state.value}", markup=False, soft_wrap=True)
            else:
                note = f"{job_id} {state.value}, its worker will end it"
                out.print(note, markup=False, soft_wrap=True)


def _show(client: Client, job: Job, wait: float | None, *, as_json: bool) -> None:
    failure: PenstockError | None = None
    try:
        if wait:
            job.result(timeout=wait)
        found = client.fetch(job.id)
        found.raise_for_status()
    except (JobNotSucceeded, ResultTimeout) as error:
        failure = error
        found = client.fetch(job.id)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print_result(found)
    if failure is not None:
        if not as_json:
            err.print(f"[red]{failure.code}[/]: {escape(failure.message)}")
        raise typer.Exit(failure.exit_status)


def _print_result(found: Result) -> None:
    if found.text is not None:
        _print_text(found.text)
    facts = [f"job {found.job_id}", found.status.value, f"{found.tier} ({found.reason})"]
    if found.text is not None:
        where = f"from the cache ({found.source})" if found.cached else f"from the {found.source}"
        facts += [
            where,
            f"{found.prompt_tokens} + {found.completion_tokens} tokens",
            f"{(found.latency_ms or 0) / 1000:.2f} s",
            f"${found.charge_usd:.9f}",
        ]
    if found.saved_usd:
        facts.append(f"${found.saved_usd:.9f} saved")
    lines = [" · ".join(facts)]
    if found.source_detail is not None:
        entry = "" if found.entry_id is None else f"entry {found.entry_id}: "
        lines.append(entry + found.source_detail)
    if found.near_miss is not None:
        lines.append(f"near miss: {found.near_miss}")
    for line in lines:
        err.print("[dim]" + escape(on_one_line(line)) + "[/]")


def _print_text(text: str) -> None:
    """To the letter, except that a model may not steer a terminal."""
    shown = harmless(text) if sys.stdout.isatty() else text
    sys.stdout.write(shown + "\n")


def _format_of(path: Path) -> dict[str, Any]:
    """The response format of a file with a JSON Schema."""
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} is no JSON ({on_one_line(str(error))})") from None
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"standard input is not UTF-8 text ({error.reason})") from None
