"""Settlement: what ended is written in one commit, guarded by the fencing token of each claim."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from penstock_shared.ledger import budgeting, claiming, worker_time
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.budgeting import Reservation
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database, storable
from penstock_shared.ledger.schema import (
    Attempt,
    CacheEntry,
    Charge,
    Job,
    JobResult,
    WorkerTime,
    is_in,
)
from penstock_shared.ledger.worker_time import Spent
from penstock_shared.words import AttemptOutcome, JobState, Source


class Answer(NamedTuple):
    """A completion or a cached answer, as the ledger keeps it."""

    text: str
    finish_reason: str
    source: Source
    model: str
    revision: str | None
    quantization: str | None
    speculation: str | None
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    queue_ms: int
    prefill_ms: int
    decode_ms: int
    source_detail: str | None = None
    entry_id: int | None = None
    saved_pusd: int = 0
    near_miss: str | None = None


class NewEntry(NamedTuple):
    """An answer on its way into the cache."""

    key: str
    partition: str
    question: str
    encoder: str | None
    vector: bytes | None
    expires_ms: int
    model: str


class Settlement(NamedTuple):
    """How one claim ended. An answer goes with SUCCEEDED, an error with every other state."""

    claim: Claim
    state: JobState
    cost_pusd: int
    answer: Answer | None = None
    error: str | None = None
    entry: NewEntry | None = None


class Account(NamedTuple):
    """Who settles: the worker that held the claims, and its tier."""

    worker_id: str
    tier: str


_OUTCOMES = {
    JobState.SUCCEEDED: AttemptOutcome.SUCCEEDED,
    JobState.FAILED: AttemptOutcome.FAILED,
    JobState.CANCELLED: AttemptOutcome.CANCELLED,
    JobState.EXPIRED: AttemptOutcome.EXPIRED,
}


def settle(
    database: Database,
    account: Account,
    settlements: Sequence[Settlement],
    now_ms: int,
    *,
    spent: Spent | None = None,
) -> set[str]:
    """Write jobs, results, charges and cache entries in one commit; returns the settled ids.

    A claim that is no longer held changes nothing but the books: what it cost is waste. One that
    was written before, because the connection broke after the commit, changes nothing at all.
    ``spent`` is the meter's word, at least as new as the costs.
    """
    with database.write() as connection:
        held = _held(connection, settlements)
        mine = list({_hold(s): s for s in settlements if _hold(s) in held}.values())
        others = [s for s in settlements if _hold(s) not in held]
        settled = _booked(connection, {_hold(s): _OUTCOMES[s.state] for s in others})
        late = [s for s in others if _hold(s) not in settled]
        wasted = sum(_waste(connection, s.claim, s.cost_pusd) for s in late)
        if mine:
            _close(connection, mine, now_ms)
        succeeded = [s for s in mine if s.answer is not None]
        if succeeded:
            _record(connection, account, succeeded, now_ms)
            _remember(database, connection, account, succeeded, now_ms)
            records.add_spent(connection, ((s.claim.batch_id, s.cost_pusd) for s in succeeded))
        charged = sum(s.cost_pusd for s in succeeded)
        wasted += sum(s.cost_pusd for s in mine) - charged
        _book(connection, account, (charged, wasted), spent, now_ms)
        ended = ((held[_hold(s)], s.cost_pusd if s.answer else 0) for s in mine)
        budgeting.release(connection, ended)
    return {job_id for job_id, _ in held.keys() | settled}


def give_back(
    database: Database,
    account: Account,
    claims: Sequence[Claim],
    cost_pusd: int,
    now_ms: int,
    *,
    spent: Spent | None = None,
) -> None:
    """Make unfinished jobs claimable again: no attempt counts, and what they cost is waste.

    The first of them bears it; it is booked once, however often this is tried. Their messages are
    the caller's to return to the queue.
    """
    with database.write() as connection:
        cancelled = claiming.release(connection, claims, now_ms)
        wasted = _waste(connection, claims[0], cost_pusd)
        _book(connection, account, (0, wasted), spent, now_ms)
        budgeting.release_all(connection, cancelled)


def _waste(connection: Connection, claim: Claim, cost_pusd: int) -> int:
    """Write down what an attempt wasted; returns what was not written down before."""
    written = connection.execute(
        update(Attempt)
        .where(Attempt.job_id == claim.job_id, Attempt.fence == claim.fence)
        .where(Attempt.waste_pusd == 0)
        .values(waste_pusd=cost_pusd)
    )
    return cost_pusd if written.rowcount else 0


def _hold(settlement: Settlement) -> tuple[str, int]:
    return settlement.claim.job_id, settlement.claim.fence


def _held(
    connection: Connection, settlements: Sequence[Settlement]
) -> dict[tuple[str, int], Reservation | None]:
    """Which of these claims are held, and what their jobs have reserved."""
    wanted = {_hold(s) for s in settlements}
    rows = connection.execute(
        select(Job.id, Job.fence, *budgeting.RESERVED)
        .where(Job.id.in_({job_id for job_id, _ in wanted}), is_in(JobState.RUNNING))
        .order_by(Job.id)
        .with_for_update()
    )
    found = {(row.id, row.fence): budgeting.reservation(row) for row in rows}
    return {hold: found[hold] for hold in wanted & found.keys()}


def _booked(
    connection: Connection, wanted: Mapping[tuple[str, int], AttemptOutcome]
) -> set[tuple[str, int]]:
    """Which of these claims have ended already, and with the outcome that is wanted."""
    if not wanted:
        return set()
    rows = connection.execute(
        select(Attempt.job_id, Attempt.fence, Attempt.outcome).where(
            Attempt.job_id.in_({job_id for job_id, _ in wanted})
        )
    )
    return {(r.job_id, r.fence) for r in rows if wanted.get((r.job_id, r.fence)) == r.outcome}


def _close(connection: Connection, settlements: Sequence[Settlement], now_ms: int) -> None:
    connection.execute(
        update(Job)
        .where(Job.id == bindparam("job"))
        .values(
            state=bindparam("to"), error=bindparam("why"), finished_ms=now_ms, lease_until_ms=None
        ),
        [{"job": s.claim.job_id, "to": s.state.value, "why": s.error} for s in settlements],
        execution_options={"synchronize_session": None},
    )
    connection.execute(
        update(Attempt)
        .where(Attempt.job_id == bindparam("job"), Attempt.fence == bindparam("held"))
        .values(
            outcome=bindparam("how"),
            error=bindparam("why"),
            waste_pusd=bindparam("waste"),
            ended_ms=now_ms,
        ),
        [
            {
                "job": s.claim.job_id,
                "held": s.claim.fence,
                "how": _OUTCOMES[s.state].value,
                "why": s.error,
                "waste": 0 if s.answer else s.cost_pusd,
            }
            for s in settlements
        ],
    )


def _record(
    connection: Connection, account: Account, settlements: Sequence[Settlement], now_ms: int
) -> None:
    results: list[dict[str, Any]] = []
    charges: list[dict[str, Any]] = []
    for settlement in settlements:
        claim, answer = settlement.claim, settlement.answer
        if answer is None:
            continue
        near_miss = None if answer.near_miss is None else storable(answer.near_miss)
        kept = answer._replace(text=storable(answer.text), near_miss=near_miss)
        results.append({**kept._asdict(), "job_id": claim.job_id, "created_ms": now_ms})
        charges.append(
            {
                "job_id": claim.job_id,
                "tenant": claim.request.tenant,
                "tier": account.tier,
                "worker_id": account.worker_id,
                "amount_pusd": settlement.cost_pusd,
                "created_ms": now_ms,
            }
        )
    connection.execute(insert(JobResult), results)
    connection.execute(insert(Charge), charges)


def _remember(
    database: Database,
    connection: Connection,
    account: Account,
    settlements: Sequence[Settlement],
    now_ms: int,
) -> None:
    rows = [
        {
            **s.entry._asdict(),
            "tenant": s.claim.request.tenant,
            "tier": account.tier,
            "text": storable(s.answer.text),
            "finish_reason": s.answer.finish_reason,
            "prompt_tokens": s.answer.prompt_tokens,
            "completion_tokens": s.answer.completion_tokens,
            "charge_pusd": s.cost_pusd,
            "created_ms": now_ms,
            "used_ms": now_ms,
        }
        for s in settlements
        if s.entry is not None and s.answer is not None
    ]
    if not rows:
        return
    rows.sort(key=itemgetter("key"))  # as everybody locks entries: nobody waits in a circle
    statement = (sqlite_insert if database.is_sqlite else postgresql_insert)(CacheEntry)
    renewed = {
        column: statement.excluded[column]
        for column in rows[0]
        if column not in {"key", "partition", "tenant", "tier", "question"}
    }
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=renewed), rows)


def _book(
    connection: Connection,
    account: Account,
    amounts: tuple[int, int],
    spent: Spent | None,
    now_ms: int,
) -> None:
    """Add what was charged and what was wasted to a worker's books, in the commit of both."""
    charged_pusd, wasted_pusd = amounts
    connection.execute(
        update(WorkerTime)
        .where(WorkerTime.worker_id == account.worker_id)
        .values(
            charged_pusd=WorkerTime.charged_pusd + charged_pusd,
            waste_pusd=WorkerTime.waste_pusd + wasted_pusd,
            **worker_time.of_the_living(spent, now_ms),
        )
    )
