"""Batches in a ledger, as tests want them."""

from collections.abc import Iterable, Sequence
from typing import Any

from penstock_shared.ledger.accepting import Place
from penstock_shared.ledger.batches import backlog, loading, records
from penstock_shared.ledger.batches.entering import Refusal
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.words import BatchState
from tests.examples import LEASE, NOW, WORKER, a_draft

BATCH = "batch_1"


def a_batch(total: int, **changes: Any) -> BatchRecord:
    """A batch that is not in any ledger yet."""
    record = BatchRecord(
        id=BATCH,
        tenant="default",
        workflow=None,
        state=BatchState.RUNNING,
        label="lines.jsonl",
        out=None,
        digest="0" * 64,
        options="{}",
        total=total,
        loaded=0,
        max_cost_pusd=None,
        spent_pusd=0,
        succeeded=0,
        stopped_by=None,
        created_ms=NOW,
        finished_ms=None,
    )
    return record._replace(**changes)


def a_loaded_batch(
    database: Database,
    ranks: Sequence[int],
    *,
    refusals: Sequence[Refusal] = (),
    fields: Iterable[tuple[str, Any]] = (),
    **changes: Any,
) -> BatchRecord:
    """A batch with a line for each rank, the first one number 1; refusals come after them."""
    record = a_batch(len(ranks) + len(refusals), **changes)
    records.create(database, record)
    drafts = [
        a_draft(f"line {line} of {record.id}", **dict(fields))._replace(
            place=Place(record.id, line, f"name-{line}", rank)
        )
        for line, rank in enumerate(ranks, start=1)
    ]
    loading.load(
        database,
        record.id,
        loaded=0,
        upto=record.total,
        drafts=drafts,
        refusals=refusals,
        now_ms=NOW,
    )
    return records.get(database, record.id)


def plain_batch(database: Database, lines: int, **changes: Any) -> BatchRecord:
    """A batch of lines without a common prefix."""
    return a_loaded_batch(database, range(1, lines + 1), **changes)


def take(database: Database, limit: int = 100, **changes: Any) -> list[Claim]:
    """Claim the next lines of all batches."""
    given: dict[str, Any] = {
        "tier": "small",
        "worker_id": WORKER,
        "lease_ms": LEASE,
        "now_ms": NOW,
        "limit": limit,
    }
    return backlog.claim(database, **{**given, **changes}).claims


def numbers(claims: Iterable[Claim]) -> list[int]:
    """Which lines were claimed, by the prompts of ``a_loaded_batch``."""
    return sorted(int(claim.request.question.split()[1]) for claim in claims)
