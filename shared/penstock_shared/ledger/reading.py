"""Reading jobs back, with answer and charge."""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import select

from penstock_shared import money
from penstock_shared.errors import JobNotFound
from penstock_shared.ledger.accepting import chunks
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Charge, Job, JobResult
from penstock_shared.result import Result
from penstock_shared.words import RequestKind

_JOB_COLUMNS = (
    Job.id,
    Job.state,
    Job.tier,
    Job.reason,
    Job.task_type,
    Job.tenant,
    Job.workflow,
    Job.attempts,
    Job.error,
    Job.created_ms,
    Job.finished_ms,
    Job.request,
)
_ANSWER_COLUMNS = (
    "text",
    "finish_reason",
    "source",
    "source_detail",
    "entry_id",
    "near_miss",
    "model",
    "revision",
    "quantization",
    "speculation",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "queue_ms",
    "prefill_ms",
    "decode_ms",
)

QUERY: Final = (
    select(
        *_JOB_COLUMNS,
        *(getattr(JobResult, column) for column in _ANSWER_COLUMNS),
        JobResult.saved_pusd,
        Charge.amount_pusd,
    )
    .outerjoin(JobResult, JobResult.job_id == Job.id)
    .outerjoin(Charge, Charge.job_id == Job.id)
)


def fetch(database: Database, job_ids: Sequence[str]) -> dict[str, Result]:
    """The jobs of these ids, as they stand now; unknown ids are left out."""
    found: dict[str, Result] = {}
    with database.read() as connection:
        for some in chunks(job_ids):
            for row in connection.execute(QUERY.where(Job.id.in_(some))):
                found[row.id] = result_of(row)
    return found


def fetch_one(database: Database, job_id: str) -> Result:
    """One job. Raises JobNotFound."""
    found = fetch(database, [job_id])
    if job_id not in found:
        raise JobNotFound(f"there is no job {job_id!r} in this ledger; check the id and the home")
    return found[job_id]


def result_of(row: Any) -> Result:
    """The result that a row of ``QUERY`` holds."""
    done = row.finished_ms is not None
    request = json.loads(row.request)
    return Result(
        job_id=row.id,
        status=row.state,
        tier=row.tier,
        reason=row.reason,
        task_type=row.task_type,
        tenant=row.tenant,
        workflow=row.workflow,
        attempts=row.attempts,
        error=row.error,
        latency_ms=row.finished_ms - row.created_ms if done else None,
        charge_usd=None if row.amount_pusd is None else money.to_usd(row.amount_pusd),
        saved_usd=None if row.saved_pusd is None else money.to_usd(row.saved_pusd),
        kind=request.get("kind", RequestKind.CHAT),
        metadata=request.get("metadata", {}),
        **{column: getattr(row, column) for column in _ANSWER_COLUMNS},
    )
