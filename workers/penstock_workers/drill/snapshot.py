"""What stands in the ledger after a drill, read at once."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Executable, select

from penstock_shared import money
from penstock_shared.ledger import worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Attempt, Charge, Job, JobResult
from penstock_shared.ledger.worker_time import Books
from penstock_shared.request import Request
from penstock_shared.words import AttemptOutcome, JobState

_ROWS_AT_ONCE: Final = 1_000


class JobRow(NamedTuple):
    """A job."""

    job_id: str
    key: str | None
    prompt: str
    max_tokens: int
    state: JobState
    attempts: int
    fence: int
    worker_id: str | None
    lease_until_ms: int | None


class AttemptRow(NamedTuple):
    """One claim of a job."""

    job_id: str
    fence: int
    worker_id: str
    outcome: AttemptOutcome
    started_ms: int
    ended_ms: int | None


class ChargeRow(NamedTuple):
    """What a job cost, and to whose books it belongs."""

    worker_id: str
    amount_pusd: int

    @property
    def as_text(self) -> str:
        """The amount as a caller sees it."""
        return money.usd_text(money.to_usd(self.amount_pusd))


class Snapshot(NamedTuple):
    """The ledger by job; of the answers only their digests."""

    jobs: Mapping[str, JobRow]
    attempts: Mapping[str, Sequence[AttemptRow]]  # the first one first
    results: Mapping[str, str]
    charges: Mapping[str, ChargeRow]
    books: Sequence[Books]


def digest_of(text: str) -> str:
    """The fingerprint by which answers are compared."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_snapshot(database: Database) -> Snapshot:
    """Read the whole ledger. Raises LedgerUnavailable."""
    attempts: dict[str, list[AttemptRow]] = defaultdict(list)
    with database.read() as connection:
        jobs = {job.job_id: job for job in _jobs(connection)}
        for attempt in _attempts(connection):
            attempts[attempt.job_id].append(attempt)
        texts = _rows(connection, select(JobResult.job_id, JobResult.text))
        results = {row.job_id: digest_of(row.text) for row in texts}
        amounts = _rows(connection, select(Charge.job_id, Charge.worker_id, Charge.amount_pusd))
        charges = {row.job_id: ChargeRow(row.worker_id, row.amount_pusd) for row in amounts}
    return Snapshot(jobs, dict(attempts), results, charges, worker_time.read_books(database))


def _jobs(connection: Connection) -> Iterator[JobRow]:
    query = select(
        Job.id,
        Job.idempotency_key,
        Job.request,
        Job.state,
        Job.attempts,
        Job.fence,
        Job.worker_id,
        Job.lease_until_ms,
    ).order_by(Job.created_ms, Job.id)
    for row in _rows(connection, query):
        request = Request.model_validate_json(row.request)
        yield JobRow(
            row.id,
            row.idempotency_key,
            request.question,
            request.sampling.max_tokens,
            JobState(row.state),
            row.attempts,
            row.fence,
            row.worker_id,
            row.lease_until_ms,
        )


def _attempts(connection: Connection) -> Iterator[AttemptRow]:
    query = select(
        Attempt.job_id,
        Attempt.fence,
        Attempt.worker_id,
        Attempt.outcome,
        Attempt.started_ms,
        Attempt.ended_ms,
    ).order_by(Attempt.job_id, Attempt.fence)
    for row in _rows(connection, query):
        yield AttemptRow(*row)._replace(outcome=AttemptOutcome(row.outcome))


def _rows(connection: Connection, query: Executable) -> Iterator[Any]:
    yield from connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE})
