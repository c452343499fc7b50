"""The demo's way: start the stack, send the traffic, stop the stack, show the bill."""

import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from penstock_producer.client import Client
from penstock_producer.demo.summary import show_summary
from penstock_producer.demo.traffic import DemoPrompt, load_prompts
from penstock_producer.waiting import Ended
from penstock_shared.errors import ResultTimeout
from penstock_shared.ledger import worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.result import Result
from penstock_shared.settings import Settings

_WINDOW: Final = 48  # jobs under way at once, as from a service with steady traffic
_GROUP: Final = 8
_TIMEOUT_S: Final = 180.0


def run_demo(settings: Settings, out: Console) -> None:
    """Run the demo on a home that the caller holds. Ctrl-C stops it early, in order."""
    from penstock_producer.cli.stack import running

    prompts = load_prompts()
    results: list[Result] = []
    with suppress(KeyboardInterrupt), running(settings) as stack, Client(stack.settings) as client:
        out.print(f"sending {len(prompts)} prompts, {_WINDOW} at a time\n")
        _send(client, prompts, results, out)
    if not results:
        return
    database = Database(settings.ledger)
    books = worker_time.read_books(database)
    database.close()
    show_summary(out, settings, prompts, results, books)


def _send(
    client: Client, prompts: Sequence[DemoPrompt], results: list[Result], out: Console
) -> None:
    """Keep a window of jobs under way; answers are collected as they come."""
    waiting = iter(prompts)
    ended = Ended()
    under_way = 0
    with _progress(out) as progress:
        bar = progress.add_task("prompts", total=len(prompts), cached=0, cost="$0")
        while len(results) < len(prompts):
            while under_way <= _WINDOW - _GROUP:
                group = [prompt.request() for prompt in itertools.islice(waiting, _GROUP)]
                if not group:
                    break
                jobs = client.submit_many(group)
                client.watch((job.id for job in jobs), ended)
                under_way += len(jobs)
            some = ended.take(_TIMEOUT_S)
            if not some:
                raise ResultTimeout(f"no job ended for {_TIMEOUT_S:g} s; see the logs")
            under_way -= len(some)
            results.extend(client.fetch_many(some).values())
            progress.update(
                bar,
                completed=len(results),
                cached=sum(r.cached for r in results),
                cost=f"${sum(r.charge_usd or 0 for r in results):.6f}",
            )


def _progress(out: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[cached]} cached · {task.fields[cost]}"),
        TimeElapsedColumn(),
        console=out,
    )
