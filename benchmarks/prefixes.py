"""What it is worth that lines of a batch with the same long beginning run one after the other.

Questions about documents, in random order: once as they are, once in the order of the backlog. The
share of prompt tokens that the engine's prefix cache served does not depend on the machine's mood.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Annotated, Final, NamedTuple

import typer
from contender import Spread
from sqlalchemy import func, select

from penstock_producer.batch.prefixes import Prefixes
from penstock_shared import clock
from penstock_shared.cli import guarded
from penstock_shared.ids import new_job_id
from penstock_shared.ledger.accepting import Draft, Place
from penstock_shared.ledger.batches import lines, loading, records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job, JobResult
from penstock_shared.request import Request
from penstock_shared.routing import route
from penstock_shared.settings import Settings, load_settings
from penstock_shared.stack import home
from penstock_shared.stack.stack import Stack
from penstock_shared.words import BatchState
from penstock_workers.toys.data import draw_document

TIER: Final = "bench"
_SENTENCES: Final = 70
_LOOK_S: Final = 0.1
_ANSWER_TOKENS: Final = 16

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Run(NamedTuple):
    """One batch: the share of its prompt tokens that was cached, and its seconds."""

    cached_share: float
    seconds: float


@app.command()
def prefixes(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
    documents: Annotated[int, typer.Option(min=2, help="documents")] = 40,
    questions: Annotated[int, typer.Option(min=2, help="questions about each")] = 15,
    rounds: Annotated[int, typer.Option(min=1, help="batches of each kind")] = 3,
    kv_mib: Annotated[int, typer.Option(min=1, help="the engine's KV cache")] = 8,
) -> None:
    """Measure a batch in the order of its prefixes against the same one as it stands."""
    for variable in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        del os.environ[variable]
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name, home.hold(Path(name)):
        stack = Stack(_settings(Path(name), kv_mib)).start()
        database = Database(stack.settings.ledger)
        try:
            stack.wait_ready(lambda _: None)
            runs: tuple[list[Run], list[Run]] = ([], [])
            for number in range(rounds):
                for kind in (0, 1) if number % 2 else (1, 0):
                    requests = _requests(Random(2 * number + kind), documents, questions)
                    run = _run(stack.settings, database, requests, ordered=bool(kind))
                    typer.echo(f"{('as it stands', 'ordered')[kind]}: {run}", err=True)
                    runs[kind].append(run)
        finally:
            database.close()
            stack.stop()
    pairs = list(zip(*runs, strict=True))
    facts = {
        "cached_share": Spread.of([run.cached_share for run in runs[0]]).rounded(3),
        "cached_share_ordered": Spread.of([run.cached_share for run in runs[1]]).rounded(3),
        "speed_ratio": Spread.of([a.seconds / b.seconds for a, b in pairs]).rounded(2),
    }
    sys.stdout.write(json.dumps(facts, indent=None if as_json else 1) + "\n")


def _settings(folder: Path, kv_mib: int) -> Settings:
    toml = folder / "penstock.toml"
    toml.write_text(
        f'[tiers.{TIER}]\nmodel = "penstock-toys/large"\nprice_per_hour = "1.00"\n'
        f"max_model_len = 2048\nmax_num_seqs = 16\nkv_cache_memory_bytes = {kv_mib * 2**20}\n"
        "[routing]\nrules = []\n[cache]\nsemantic = false\n",
        encoding="utf-8",
    )
    os.environ["PENSTOCK_CONFIG"] = str(toml)  # the worker reads the same file
    return load_settings(folder)


def _requests(random: Random, documents: int, questions: int) -> list[Request]:
    """Questions after their documents, in random order; no document comes twice anywhere."""
    found = []
    for _ in range(documents):
        document = draw_document(random, _SENTENCES).prompt
        for number in range(questions):
            prompt = f"{document}\n\nQuestion {number}: {random.random()}"
            found.append(Request.build(prompt, tier=TIER, max_tokens=_ANSWER_TOKENS))
    random.shuffle(found)
    return found


def _run(
    settings: Settings, database: Database, requests: Sequence[Request], *, ordered: bool
) -> Run:
    batch = f"batch_{new_job_id()}"
    total = len(requests)
    records.create(database, _record(batch, total))
    ranks = Prefixes()
    drafts = [
        Draft(
            request,
            route(request, settings),
            place=Place(batch, n, f"line-{n}", ranks.rank(n, TIER, request) if ordered else n),
        )
        for n, request in enumerate(requests, start=1)
    ]
    start = time.perf_counter()
    loading.load(
        database, batch, loaded=0, upto=total, drafts=drafts, refusals=(), now_ms=clock.now_ms()
    )
    while lines.count(database, batch).ended < total:
        time.sleep(_LOOK_S)
    seconds = time.perf_counter() - start
    tokens = select(func.sum(JobResult.cached_tokens), func.sum(JobResult.prompt_tokens))
    with database.read() as connection:
        cached, prompt = connection.execute(
            tokens.join(Job, Job.id == JobResult.job_id).where(Job.batch_id == batch)
        ).one()
    return Run(round(cached / prompt, 3), round(seconds, 2))


def _record(batch: str, total: int) -> BatchRecord:
    return BatchRecord(
        id=batch,
        tenant="default",
        workflow=None,
        state=BatchState.RUNNING,
        label="questions",
        out=None,
        digest="",
        options="{}",
        total=total,
        loaded=0,
        max_cost_pusd=None,
        spent_pusd=0,
        succeeded=0,
        stopped_by=None,
        created_ms=clock.now_ms(),
        finished_ms=None,
    )


if __name__ == "__main__":
    guarded(app)
