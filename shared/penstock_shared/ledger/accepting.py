"""Requests become jobs: inserted in bulk, one outcome for each."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from penstock_shared.errors import BudgetExceeded, IdempotencyConflict
from penstock_shared.ids import new_job_id
from penstock_shared.ledger import budgeting
from penstock_shared.ledger.budgeting import Hold
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.request import Request
from penstock_shared.routing import Route
from penstock_shared.words import JobState

_Id = TypeVar("_Id", str, int)
_IN_LIMIT = 500


class Accepted(NamedTuple):
    """A job that is in the ledger. ``is_new`` is False when its idempotency key was known."""

    job_id: str
    tier: str
    reason: str
    is_new: bool


class Place(NamedTuple):
    """Which line of a batch a job is; ``rank`` is its place in the backlog."""

    batch_id: str
    line: int
    custom_id: str
    rank: int


class Draft(NamedTuple):
    """A request on its way into the ledger."""

    request: Request
    route: Route
    job_id: str | None = None  # a foreign Celery task brings its own id
    hold: Hold | None = None  # what it reserves; None: it falls under no budget
    place: Place | None = None  # None: it is no line of a batch


Outcome = Accepted | IdempotencyConflict | BudgetExceeded


def accept(
    database: Database, drafts: Sequence[Draft], now_ms: int, *, published: bool = False
) -> list[Outcome]:
    """Insert jobs in one transaction; the outcomes stand in the order of ``drafts``.

    A known idempotency key gives the job that has it, or IdempotencyConflict when that job's
    request is another one. A known job id gives that job. A new job reserves what it may cost;
    BudgetExceeded when a budget has not enough left for it. ``published`` says that the broker
    woke us with these jobs, so that they need no publishing.
    """
    if not drafts:
        return []
    rows = [row_of(draft, now_ms, now_ms if published else None) for draft in drafts]
    with database.write() as connection:
        tell = any(draft.hold and draft.job_id for draft in drafts)
        inserted = _insert(connection, rows, is_sqlite=database.is_sqlite, tell=tell)
        doubtful = [
            row
            for row, draft in zip(rows, drafts, strict=True)
            if row["idempotency_key"] is not None or draft.job_id is not None
        ]
        known = _known(connection, doubtful)
        holds = {
            row["id"]: draft.hold
            for row, draft in zip(rows, drafts, strict=True)
            if draft.hold and (row["id"] in inserted if tell else _is_own(row, known))
        }
        refused = _reserve(connection, holds, is_sqlite=database.is_sqlite, now_ms=now_ms)
    return [_outcome(row, known, refused) for row in rows]


def mark_published(database: Database, job_ids: Sequence[str], now_ms: int) -> None:
    """Take jobs out of the outbox."""
    with database.write() as connection:
        for some in chunks(job_ids):
            connection.execute(
                update(Job)
                .where(Job.id.in_(some), Job.published_ms.is_(None))
                .values(published_ms=now_ms)
            )


def chunks(ids: Iterable[_Id]) -> Iterable[list[_Id]]:
    """Slices of a list of ids, each short enough for one IN clause."""
    all_ids = list(ids)
    return (all_ids[i : i + _IN_LIMIT] for i in range(0, len(all_ids), _IN_LIMIT))


def _insert(
    connection: Connection, rows: list[dict[str, Any]], *, is_sqlite: bool, tell: bool
) -> set[str]:
    """Insert what is not known yet; with ``tell``, which takes longer, returns the ids of that."""
    insert = (sqlite_insert if is_sqlite else postgresql_insert)(Job).on_conflict_do_nothing()
    # In the order of their keys: two batches with the same keys never wait for each other.
    ordered = sorted(rows, key=lambda row: (row["tenant"], row["idempotency_key"] or ""))
    if tell:
        return set(connection.scalars(insert.returning(Job.id), ordered))
    connection.execute(insert, ordered)
    return set()


def _reserve(
    connection: Connection, holds: dict[str, Hold], *, is_sqlite: bool, now_ms: int
) -> dict[str, BudgetExceeded]:
    """Reserve for jobs that were inserted just now, and take out those that do not fit."""
    if not holds:
        return {}
    refused = budgeting.reserve(connection, holds, is_sqlite=is_sqlite, now_ms=now_ms)
    for some in chunks(refused):
        connection.execute(delete(Job).where(Job.id.in_(some)))
    return refused


def row_of(draft: Draft, now_ms: int, published_ms: int | None = None) -> dict[str, Any]:
    """The columns of a new job."""
    request, route, place = draft.request, draft.route, draft.place
    return {
        "id": draft.job_id or new_job_id(),
        "tenant": request.tenant,
        "workflow": request.workflow,
        "tier": route.tier,
        "reason": route.reason,
        "task_type": route.task_type.value,
        "state": JobState.QUEUED.value,
        "request": request.model_dump_json(exclude_defaults=True),
        "idempotency_key": request.idempotency_key,
        "digest": request.digest() if request.idempotency_key else "",
        "created_ms": now_ms,
        "deadline_ms": request.deadline_ms,
        "published_ms": published_ms,
        "attempts": 0,
        "fence": 0,
        "cancel_requested": False,
        "reserved_pusd": draft.hold.amount_pusd if draft.hold else None,
        "budget_ids": draft.hold.ids if draft.hold else None,
        "batch_id": place.batch_id if place else None,
        "batch_line": place.line if place else None,
        "custom_id": place.custom_id if place else None,
        "backlog_rank": place.rank if place else None,
    }


class _Known(NamedTuple):
    by_id: dict[str, Any]
    by_key: dict[tuple[str, str], Any]


def _known(connection: Connection, rows: list[dict[str, Any]]) -> _Known:
    by_id: dict[str, Any] = {}
    by_key: dict[tuple[str, str], Any] = {}
    columns = (Job.id, Job.tenant, Job.idempotency_key, Job.digest, Job.tier, Job.reason)
    for start in range(0, len(rows), _IN_LIMIT):
        some = rows[start : start + _IN_LIMIT]
        keys = [(r["tenant"], r["idempotency_key"]) for r in some if r["idempotency_key"]]
        found = tuple_(Job.tenant, Job.idempotency_key).in_(keys) if keys else None
        same = Job.id.in_([r["id"] for r in some])
        query = select(*columns).where(same if found is None else same | found)
        for job in connection.execute(query):
            by_id[job.id] = job
            if job.idempotency_key is not None:
                by_key[job.tenant, job.idempotency_key] = job
    return _Known(by_id, by_key)


def _job_of(row: dict[str, Any], known: _Known) -> Any:
    key = row["idempotency_key"]
    return known.by_key.get((row["tenant"], key)) if key else known.by_id.get(row["id"])


def _is_own(row: dict[str, Any], known: _Known) -> bool:
    """Whether a job with an id of ours is new, and not one that has its idempotency key."""
    job = _job_of(row, known)
    return job is None or bool(job.id == row["id"])


def _outcome(row: dict[str, Any], known: _Known, refused: dict[str, BudgetExceeded]) -> Outcome:
    job = _job_of(row, known)
    job_id = row["id"] if job is None else job.id
    if job_id in refused:
        return refused[job_id]
    if job is None:
        return Accepted(row["id"], row["tier"], row["reason"], is_new=True)
    if row["idempotency_key"] and job.digest != row["digest"]:
        return IdempotencyConflict(
            f"this idempotency key belongs to job {job.id} with another request; "
            "use a new key, or repeat the first request exactly"
        )
    return Accepted(job.id, job.tier, job.reason, is_new=job.id == row["id"])
