"""Batches: made, found, paused, cancelled, completed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, insert, select, update

from penstock_shared.errors import BatchNotFound
from penstock_shared.ledger import claiming
from penstock_shared.ledger.batches import documents
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Batch, BatchDocument, Job
from penstock_shared.words import BatchState, JobState

_PAGE: Final = 1_000


class BatchRecord(NamedTuple):
    """A batch as the ledger has it now. Money is picodollars, times are milliseconds since 1970.

    ``total`` counts the lines of the input, wrong ones included; ``loaded`` those of them that are
    in the ledger. ``options`` is JSON: how the input is read.
    """

    id: str
    tenant: str
    workflow: str | None
    state: BatchState
    label: str
    out: str | None
    digest: str
    options: str
    total: int
    loaded: int
    max_cost_pusd: int | None
    spent_pusd: int
    succeeded: int
    stopped_by: str | None
    created_ms: int
    finished_ms: int | None

    @property
    def is_loaded(self) -> bool:
        """Whether every line is in the ledger."""
        return self.loaded == self.total


_COLUMNS: Final = tuple(getattr(Batch, name) for name in BatchRecord._fields)
_NEWEST_FIRST: Final = (Batch.created_ms.desc(), Batch.id.desc())
_PLACES: Final = 7  # PostgreSQL's advisory locks of this kind are places where batches write


def create(database: Database, record: BatchRecord, *, after: BatchRecord | None = None) -> bool:
    """Write down a new batch, before its lines.

    False when another one was made for its tenant and output meanwhile: ``after`` must be the
    newest of them, so that two commands that look and create at once do not make two.
    """
    with database.write() as connection:
        if record.out is not None and _newest_id(connection, database, record) != (
            after and after.id
        ):
            return False
        connection.execute(insert(Batch), [record._asdict()])
    return True


def get(database: Database, batch_id: str) -> BatchRecord:
    """One batch. Raises BatchNotFound."""
    with database.read() as connection:
        row = connection.execute(select(*_COLUMNS).where(Batch.id == batch_id)).one_or_none()
    if row is None:
        raise BatchNotFound(
            f"there is no batch {batch_id!r} in this ledger; see 'penstock batch list'"
        )
    return _record(row)


def newest(
    database: Database,
    *,
    tenant: str | None = None,
    out: str | None = None,
    digest: str | None = None,
    limit: int = 1,
) -> list[BatchRecord]:
    """Batches, the newest first; of a tenant, with an output or an input."""
    query = select(*_COLUMNS).order_by(*_NEWEST_FIRST).limit(limit)
    wanted: tuple[tuple[Any, Any], ...] = (
        (Batch.tenant, tenant),
        (Batch.out, out),
        (Batch.digest, digest),
    )
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    with database.read() as connection:
        return [_record(row) for row in connection.execute(query)]


def pause(database: Database, batch_id: str, reason: str | None = None) -> BatchRecord:
    """Let no worker begin another line; those that run end. Raises BatchNotFound."""
    _change(database, batch_id, BatchState.RUNNING, state=BatchState.PAUSED, stopped_by=reason)
    return get(database, batch_id)


def resume(database: Database, batch_id: str, *, max_cost_pusd: int | None = None) -> BatchRecord:
    """Let workers go on with a paused batch, with a new limit of money if one is given."""
    changed: dict[str, object] = {"state": BatchState.RUNNING, "stopped_by": None}
    if max_cost_pusd is not None:
        changed["max_cost_pusd"] = max_cost_pusd
    _change(database, batch_id, BatchState.PAUSED, **changed)
    return get(database, batch_id)


def cancel(database: Database, batch_id: str, now_ms: int) -> BatchRecord:
    """Withdraw every line that has not ended: waiting ones at once, running ones soon.

    What has ended stays. Raises BatchNotFound.
    """
    open_states = (BatchState.RUNNING, BatchState.PAUSED)
    for state in open_states:
        _change(database, batch_id, state, state=BatchState.CANCELLED, finished_ms=now_ms)
    if get(database, batch_id).state is BatchState.CANCELLED:
        with database.write() as connection:
            documents.cancel(connection, batch_id)
        last = -1
        while some := _open_lines(database, batch_id, after=last):
            claiming.cancel(database, [job_id for job_id, _ in some], now_ms)
            last = some[-1][1]
    return get(database, batch_id)


def complete(database: Database, now_ms: int, batch_id: str | None = None) -> list[str]:
    """End the running batches, or one of them, of which every line has ended; returns which."""
    one: tuple[ColumnElement[bool], ...] = () if batch_id is None else (Batch.id == batch_id,)
    is_open = exists().where(Job.batch_id == Batch.id, Job.finished_ms.is_(None))
    waits = exists().where(BatchDocument.batch_id == Batch.id, documents.is_waiting())
    ended = [*_IS_RUNNING, Batch.loaded == Batch.total, ~is_open, ~waits, *one]
    with database.read() as connection:
        ids = list(connection.scalars(select(Batch.id).where(*ended)))
    if not ids:
        return []
    with database.write() as connection:
        return list(
            connection.scalars(
                update(Batch)
                .where(Batch.id.in_(ids), *ended)
                .values(state=BatchState.COMPLETED.value, finished_ms=now_ms)
                .returning(Batch.id)
            )
        )


def add_spent(connection: Connection, charges: Iterable[tuple[str | None, int]]) -> None:
    """Count charges, in picodollars, of lines that succeeded for their batches."""
    spent: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for batch_id, amount_pusd in charges:
        if batch_id is not None:
            spent[batch_id] += amount_pusd
            count[batch_id] += 1
    if count:
        connection.execute(
            update(Batch)
            .where(Batch.id == bindparam("batch"))
            .values(
                spent_pusd=Batch.spent_pusd + bindparam("spent"),
                succeeded=Batch.succeeded + bindparam("more"),
            ),
            [{"batch": i, "spent": spent[i], "more": count[i]} for i in sorted(count)],
            execution_options={"synchronize_session": None},
        )


def _newest_id(connection: Connection, database: Database, record: BatchRecord) -> str | None:
    """The newest batch of a tenant and output; nobody else makes one until we have committed."""
    if not database.is_sqlite:
        place = func.hashtext(f"{record.tenant}\n{record.out}")
        connection.execute(select(func.pg_advisory_xact_lock(_PLACES, place)))
    query = select(Batch.id).where(Batch.tenant == record.tenant, Batch.out == record.out)
    return connection.scalar(query.order_by(*_NEWEST_FIRST).limit(1))


_IS_RUNNING: Final = (Batch.state == BatchState.RUNNING.value,)


def _change(database: Database, batch_id: str, only: BatchState, **values: object) -> None:
    with database.write() as connection:
        connection.execute(
            update(Batch).where(Batch.id == batch_id, Batch.state == only.value).values(**values)
        )


def _open_lines(database: Database, batch_id: str, *, after: int) -> Sequence[tuple[str, int]]:
    """Ids and numbers of lines that have not ended, in the order of their numbers."""
    query = (
        select(Job.id, Job.batch_line)
        .where(Job.batch_id == batch_id, Job.finished_ms.is_(None), Job.batch_line > after)
        .where(Job.state.in_([JobState.QUEUED.value, JobState.RUNNING.value]))
        .order_by(Job.batch_line)
        .limit(_PAGE)
    )
    with database.read() as connection:
        return [(row.id, row.batch_line) for row in connection.execute(query)]


def _record(row: Any) -> BatchRecord:
    return BatchRecord(*row)._replace(state=BatchState(row.state))
