"""Batches in a ledger, as tests want them."""

from collections.abc import Iterable, Sequence
from typing import Any

from penstock_shared.ledger.accepting import Place
from penstock_shared.ledger.batches import backlog, loading, records
from penstock_shared.ledger.batches.documents import Document
from penstock_shared.ledger.batches.entering import Refusal
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.request import Request
from penstock_shared.words import BatchState
from tests.examples import LEASE, NOW, WORKER, a_draft

BATCH = "batch_1"
_TEMPLATE = "Sum up {{ document }}: {{ parts | join('; ') }}"


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


def a_document(
    database: Database,
    *,
    refused: tuple[int, ...] = (),
    template: str = _TEMPLATE,
    batch_id: str = BATCH,
    tenant: str = "default",
) -> None:
    """A document of three parts, summed up by line 4."""
    records.create(database, a_batch(4, id=batch_id, tenant=tenant))
    parts = [
        a_draft(f"part {n}")._replace(place=Place(batch_id, n, f"a.md#{n}", n))
        for n in (1, 2, 3)
        if n not in refused
    ]
    request = Request.build(template, tier="small", workflow="w", tenant=tenant)
    loading.load(
        database,
        batch_id,
        loaded=0,
        upto=4,
        drafts=parts,
        refusals=[Refusal(n, f"a.md#{n}", "invalid_request", "no text", None) for n in refused],
        documents=[Document(4, "a.md", 1, 3, request)],
        now_ms=NOW,
    )


def take(database: Database, limit: int = 100, **changes: Any) -> list[Claim]:
    """Claim the next lines of all batches; by their prompts, for the ledger has no order."""
    given: dict[str, Any] = {
        "tier": "small",
        "worker_id": WORKER,
        "lease_ms": LEASE,
        "now_ms": NOW,
        "limit": limit,
    }
    claimed = backlog.claim(database, **{**given, **changes})
    return sorted(claimed.claims, key=lambda claim: claim.request.question)


def numbers(claims: Iterable[Claim]) -> list[int]:
    """Which lines were claimed, by the prompts of ``a_loaded_batch``."""
    return sorted(int(claim.request.question.split()[1]) for claim in claims)
