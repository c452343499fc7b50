"""Example values: requests, jobs, claims and completions as short as a test wants them."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select, update

from penstock_shared.ledger import accepting, claiming, losing, worker_time
from penstock_shared.ledger.accepting import Accepted, Draft
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job, Table
from penstock_shared.ledger.settling import Account, Answer, Settlement
from penstock_shared.request import Request
from penstock_shared.routing import Route
from penstock_shared.words import JobState, Source, TaskType
from penstock_workers.cache.cache import Hit, Lookup
from penstock_workers.cache.key import key_of
from penstock_workers.engine.protocol import Completion, Ending

NOW = 1_800_000_000_000  # some moment, in milliseconds
LEASE = 15_000
WORKER = "small-0123456789ab"
IDENTITY = {"model": "a-model", "revision": None}
ACCOUNT = Account(WORKER, "small")


def a_draft(prompt: str = "What is a dam?", *, tier: str = "small", **fields: Any) -> Draft:
    """A request that was routed."""
    route = Route(tier, "the caller chose this tier", TaskType.FACTUAL_QA)
    return Draft(Request.build(prompt, **fields), route)


def accept_some(database: Database, count: int = 1, **fields: Any) -> list[str]:
    """Put jobs into the ledger; returns their ids."""
    drafts = [a_draft(f"What is {number}?", **fields) for number in range(count)]
    outcomes = accepting.accept(database, drafts, NOW)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    return [outcome.job_id for outcome in outcomes if isinstance(outcome, Accepted)]


def open_books(database: Database) -> None:
    """Let the worker of the examples begin its life."""
    worker_time.open_books(
        database,
        worker_id=WORKER,
        tier="small",
        host="here",
        price_per_hour_pusd=1,
        started_ms=NOW,
    )


def claim_some(
    database: Database, job_ids: Sequence[str], *, worker_id: str = WORKER, now_ms: int = NOW
) -> list[Claim]:
    """Claim jobs for a worker, suspected ones too."""
    claimed = claiming.claim(
        database, job_ids, worker_id=worker_id, lease_ms=LEASE, now_ms=now_ms, suspects=True
    )
    assert claimed.unreadable == []
    return claimed.claims


def lose_workers(database: Database, *, now_ms: int = NOW, max_attempts: int = 9) -> losing.Lost:
    """Let all workers fall silent and their leases run out, and sweep."""
    worker_time.close_silent(database, 2 * NOW)
    with database.write() as connection:
        connection.execute(
            update(Job).where(Job.lease_until_ms.is_not(None)).values(lease_until_ms=0)
        )
    return losing.requeue_lost(database, now_ms=now_ms, max_attempts=max_attempts)


def lose_engines(
    database: Database, claims: Sequence[Claim], *, now_ms: int = NOW, max_attempts: int = 9
) -> losing.Lost:
    """Let the engine of each claim die, in which it was alone."""
    return losing.lose(
        database,
        claims,
        reason="the engine died",
        together=False,
        now_ms=now_ms,
        max_attempts=max_attempts,
    )


def a_claim(prompt: str = "What is a dam?", *, job_id: str = "a-job", **fields: Any) -> Claim:
    """A claim that is in no ledger."""
    return Claim(job_id, 1, Request.build(prompt, **fields), NOW, None)


def a_lookup(claim: Claim, *, hit: Hit | None = None) -> Lookup:
    """What the cache says about a claim: a miss, unless a hit is given."""
    return Lookup(claim, key_of(claim.request, IDENTITY), hit, None)


def an_answer(text: str = "A wall across a river.", **changes: Any) -> Answer:
    """An answer of the engine."""
    answer = Answer(
        text=text,
        finish_reason="stop",
        source=Source.ENGINE,
        model="a-model",
        revision="r1",
        quantization=None,
        speculation=None,
        prompt_tokens=7,
        cached_tokens=2,
        completion_tokens=5,
        queue_ms=30,
        prefill_ms=20,
        decode_ms=10,
    )
    return answer._replace(**changes)


def succeeded(claim: Claim, cost_pusd: int = 1_000, **changes: Any) -> Settlement:
    """A settlement with an answer."""
    return Settlement(claim, JobState.SUCCEEDED, cost_pusd, an_answer())._replace(**changes)


def a_completion(request_id: str, ending: Ending = Ending.STOP, **changes: Any) -> Completion:
    """What an engine returns for one request."""
    completion = Completion(
        request_id=request_id,
        ending=ending,
        token_ids=(1, 2, 3),
        text="",
        cached_tokens=0,
        prefill_ms=4,
        decode_ms=6,
        scheduled_ns=1,
        cost_pusd=900,
    )
    return completion._replace(**changes)


def rows(database: Database, table: type[Table], *where: ColumnElement[bool]) -> list[Any]:
    """The rows of a table."""
    with database.read() as connection:
        return list(connection.execute(select(table).where(*where)).all())


def state_of(database: Database, job_id: str) -> JobState:
    """Where a job stands."""
    return claiming.states(database, [job_id])[job_id]


class Clock:
    """A clock that stands until it is moved; in whatever unit its user counts."""

    def __init__(self, now: float = 0) -> None:
        self.now = now

    def __call__(self) -> Any:
        """The present moment."""
        return self.now


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run ``work`` in threads that start at the same moment; returns what each returned."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    start = threading.Barrier(count)

    def run(number: int) -> Any:
        start.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
