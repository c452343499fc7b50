"""The ledger's tables.

Times are milliseconds since 1970 (``_ms``), money is picodollars (``_pusd``).
"""

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    literal,
    literal_column,
)
from sqlalchemy.orm import Mapped, mapped_column

from penstock_shared.ledger.schema_base import Id, Label, Table, partial_index
from penstock_shared.ledger.schema_batches import Batch, BatchDocument, BatchRefusal
from penstock_shared.ledger.schema_cache import CacheEntry, CacheTrial
from penstock_shared.words import JobState, Source

__all__ = [
    "Attempt",
    "Batch",
    "BatchDocument",
    "BatchRefusal",
    "BudgetPeriod",
    "CacheEntry",
    "CacheTrial",
    "Charge",
    "Duty",
    "Job",
    "JobResult",
    "Table",
    "WorkerTime",
    "is_a_hit",
    "is_in",
    "is_withdrawn",
]


class Job(Table):
    """A request that was accepted. The row is the job; the Celery message only wakes a worker."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant: Mapped[str] = mapped_column(Label)
    workflow: Mapped[str | None] = mapped_column(Label)
    tier: Mapped[str] = mapped_column(Label)
    reason: Mapped[str] = mapped_column(Text)
    task_type: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    request: Mapped[str] = mapped_column(Text)  # JSON of penstock_shared.request.Request
    idempotency_key: Mapped[str | None] = mapped_column(Label)
    digest: Mapped[str] = mapped_column(String(64))
    created_ms: Mapped[int]
    deadline_ms: Mapped[int | None]
    not_before_ms: Mapped[int | None]
    published_ms: Mapped[int | None]  # NULL: still in the outbox
    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)  # grows with every claim
    # how often it was lost together with other jobs; the more often, the fewer run beside it
    suspicion: Mapped[int] = mapped_column(default=0, server_default="0")
    worker_id: Mapped[str | None] = mapped_column(Id)
    lease_until_ms: Mapped[int | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None] = mapped_column(Text)
    finished_ms: Mapped[int | None]
    # what it was estimated to cost, and the budgets that it was accepted under; NULL: under none
    reserved_pusd: Mapped[int | None]
    budget_ids: Mapped[str | None] = mapped_column(Text)  # of budget_periods, parted by blanks

    # of a line of a batch: its batch, its number in the file, and the caller's name for it
    batch_id: Mapped[str | None] = mapped_column(Id)
    batch_line: Mapped[int | None]
    custom_id: Mapped[str | None] = mapped_column(Text)
    # its place among the lines that wait for a worker with room; NULL: it waits there no more.
    # Lines with the same prefix have the number of the first of them.
    backlog_rank: Mapped[int | None]

    __table_args__ = (
        Index("uq_jobs_idempotency", "tenant", "idempotency_key", unique=True),
        partial_index(
            "ix_jobs_outbox",
            "published_ms IS NULL AND state = 'queued' AND backlog_rank IS NULL",
            "created_ms",
        ),
        partial_index(
            "ix_jobs_backlog",
            "state = 'queued' AND backlog_rank IS NOT NULL",
            "batch_id",
            "tier",
            "backlog_rank",
            "batch_line",
        ),
        partial_index("ix_jobs_lines", "batch_id IS NOT NULL", "batch_id", "batch_line"),
        # All columns of its condition, so that SQLite does not prefer ix_jobs_lines_ended.
        partial_index(
            "ix_jobs_lines_under_way",
            "batch_id IS NOT NULL AND backlog_rank IS NULL AND finished_ms IS NULL",
            "batch_id",
            "backlog_rank",
            "finished_ms",
        ),
        partial_index(
            "ix_jobs_lines_ended",
            "batch_id IS NOT NULL",
            "batch_id",
            "finished_ms",
            "batch_line",
            "state",
        ),
        partial_index("ix_jobs_leases", "state = 'running'", "lease_until_ms"),
        partial_index("ix_jobs_deadlines", "state = 'queued'", "deadline_ms"),
        partial_index("ix_jobs_waiting", "state = 'queued'", "tier", "published_ms"),
        partial_index("ix_jobs_dead", "state = 'dead'", "finished_ms"),
        partial_index(
            "ix_jobs_cancellations", "state = 'running' AND cancel_requested", "worker_id"
        ),
        Index("ix_jobs_created", "created_ms"),
        Index("ix_jobs_report", "id", "task_type", "workflow"),  # without the prompt
    )


class Attempt(Table):
    """One claim of a job, and how it ended."""

    __tablename__ = "attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    fence: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[str] = mapped_column(Id)
    outcome: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    started_ms: Mapped[int]
    ended_ms: Mapped[int | None]
    waste_pusd: Mapped[int] = mapped_column(default=0)


class JobResult(Table):
    """The answer of a job that succeeded."""

    __tablename__ = "results"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    finish_reason: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(String(16))
    source_detail: Mapped[str | None] = mapped_column(Text)  # why the cache served this entry
    entry_id: Mapped[int | None]
    model: Mapped[str] = mapped_column(Text)
    revision: Mapped[str | None] = mapped_column(Label)
    quantization: Mapped[str | None] = mapped_column(Label)
    speculation: Mapped[str | None] = mapped_column(Text)
    prompt_tokens: Mapped[int]
    cached_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    queue_ms: Mapped[int]
    prefill_ms: Mapped[int]
    decode_ms: Mapped[int]
    created_ms: Mapped[int]
    # what the answer that it got for nothing cost when it was made
    saved_pusd: Mapped[int] = mapped_column(default=0, server_default="0")
    near_miss: Mapped[str | None] = mapped_column(Text)  # which entry was near, why it was no hit

    # Few rows are hits or near misses; statistics read no others.
    __table_args__ = (
        partial_index("ix_results_hits", "source <> 'engine'", "job_id", "source", "saved_pusd"),
        partial_index("ix_results_near_misses", "near_miss IS NOT NULL", "job_id"),
        # What a report reads of every result, without its text.
        Index(
            "ix_results_report",
            "job_id",
            "source",
            "prompt_tokens",
            "completion_tokens",
            "saved_pusd",
        ),
        partial_index(
            "ix_results_manners", "quantization IS NOT NULL OR speculation IS NOT NULL", "job_id"
        ),
    )


class Charge(Table):
    """What a job cost its tenant: one row for each job that succeeded."""

    __tablename__ = "charges"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    tenant: Mapped[str] = mapped_column(Label)
    tier: Mapped[str] = mapped_column(Label)
    worker_id: Mapped[str] = mapped_column(Id)
    amount_pusd: Mapped[int]
    created_ms: Mapped[int]

    __table_args__ = (Index("ix_charges_created", "created_ms"),)


class WorkerTime(Table):
    """One life of one worker, and what its time was spent on."""

    __tablename__ = "worker_time"

    worker_id: Mapped[str] = mapped_column(Id, primary_key=True)
    tier: Mapped[str] = mapped_column(Label)
    host: Mapped[str] = mapped_column(Label)
    price_per_hour_pusd: Mapped[int]
    started_ms: Mapped[int]
    seen_ms: Mapped[int]  # its last word
    ended_ms: Mapped[int | None]
    paid_pusd: Mapped[int] = mapped_column(default=0)  # price x time so far
    charged_pusd: Mapped[int] = mapped_column(default=0)
    waste_pusd: Mapped[int] = mapped_column(default=0)
    idle_pusd: Mapped[int] = mapped_column(default=0)
    # waste that is of no attempt; after its death also what it had begun, unless it comes back
    lost_pusd: Mapped[int] = mapped_column(default=0, server_default="0")

    __table_args__ = (partial_index("ix_worker_time_open", "ended_ms IS NULL", "seen_ms"),)


class BudgetPeriod(Table):
    """One day or month of one budget."""

    __tablename__ = "budget_periods"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # digest of whose it is and when
    tenant: Mapped[str | None] = mapped_column(Label)
    workflow: Mapped[str | None] = mapped_column(Label)
    per: Mapped[str] = mapped_column(String(16))
    starts_ms: Mapped[int]
    ends_ms: Mapped[int]
    limit_pusd: Mapped[int]  # as the settings said at the last submit
    reserved_pusd: Mapped[int]  # estimates of its open jobs
    spent_pusd: Mapped[int]  # charges of its jobs that ended


class Duty(Table):
    """Something that one worker at a time does for all: sweeping."""

    __tablename__ = "duties"

    name: Mapped[str] = mapped_column(Label, primary_key=True)
    holder: Mapped[str] = mapped_column(Id)
    until_ms: Mapped[int]


def is_a_hit() -> ColumnElement[bool]:
    """The condition of an index: the engine did nothing for this answer.

    That holds for embeddings too, which are no hits: see ``Source.is_cached``.
    """
    return JobResult.source != literal(Source.ENGINE.value, literal_execute=True)


def is_in(state: JobState) -> ColumnElement[bool]:
    """A condition on a job's state.

    The value stands in the statement itself: with a parameter, SQLite uses no partial index.
    """
    return Job.state == literal(state.value, literal_execute=True)


def is_withdrawn() -> ColumnElement[bool]:
    """A condition on jobs: their callers asked that they end.

    It is written as in the index, and not as ``= 1``: with that, SQLite does not use it.
    """
    return literal_column("jobs.cancel_requested")
