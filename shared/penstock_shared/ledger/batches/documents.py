"""Documents: a line that sums up others waits until they have ended, and then becomes a job.

Its prompt is a Jinja2 template over ``parts``, the answers of those lines in their order, and
``document``, their common name.
"""

import logging
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, tuple_, update

from penstock_shared.errors import BudgetExceeded, InvalidRequest, PenstockError, Unavailable
from penstock_shared.ledger import accepting
from penstock_shared.ledger.accepting import Draft, Place
from penstock_shared.ledger.batches.entering import Refusal, enter, refuse
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.estimating import Estimator
from penstock_shared.ledger.schema import Batch, BatchDocument, BatchRefusal, Job, JobResult
from penstock_shared.request import Request
from penstock_shared.routing import route
from penstock_shared.settings import Settings
from penstock_shared.templates import ENVIRONMENT, TEMPLATE_ERRORS
from penstock_shared.words import BatchState, JobState

log = logging.getLogger(__name__)
PARTS_FAILED: Final = "parts_failed"
_WAITING: Final = "waiting"
_FAILED: Final = "failed"
_PAGE: Final = 200


class Document(NamedTuple):
    """A line that sums up the lines from ``first_line`` to ``last_line``.

    The last message of its request is the template.
    """

    line: int
    document: str
    first_line: int
    last_line: int
    request: Request


class _Waiting(NamedTuple):
    batch_id: str
    line: int
    document: str
    request: str  # as JSON: this version may not be able to read it
    answers: Sequence[str | None]  # None: that part has no answer


def add(connection: Connection, batch_id: str, documents: Sequence[Document]) -> None:
    """Let lines wait for their parts, in the transaction that loads both."""
    rows = [
        {
            **document._asdict(),
            "request": document.request.model_dump_json(),
            "batch_id": batch_id,
            "state": _WAITING,
        }
        for document in documents
    ]
    if rows:
        connection.execute(insert(BatchDocument), rows)


def promote(
    database: Database, settings: Settings, now_ms: int, batch_id: str | None = None
) -> int:
    """Make jobs of the documents whose parts have all ended, of one batch or all that run.

    A document of which a part has no answer is refused, and so is one whose prompt cannot be filled
    or served. When a budget has no room for one, those of its batch wait until the next call.
    Returns how many waited no more.
    """
    done = 0
    estimator = Estimator(settings, database)
    after = ("", 0)
    without_money: set[str] = set()
    while ready := _ready(database, batch_id, after=after, leave_out=without_money):
        for waiting in ready:
            if waiting.batch_id in without_money:
                continue
            try:
                done += _end_wait(database, estimator, waiting, _draft(waiting, settings), now_ms)
            except BudgetExceeded:
                without_money.add(waiting.batch_id)  # until the next call
            except Unavailable:
                raise
            except Exception:
                where = (waiting.line, waiting.batch_id)
                log.exception("line %d of batch %s cannot be made yet", *where)
        after = (ready[-1].batch_id, ready[-1].line)
    return done


def cancel(connection: Connection, batch_id: str) -> None:
    """Refuse what still waits, in the transaction that cancels the batch."""
    waits = _waits_in(batch_id)
    query = select(BatchDocument.line, BatchDocument.document).where(*waits)
    reason = ("batch_cancelled", "the batch was cancelled before its parts had ended", None)
    rows = connection.execute(query).all()
    refuse(connection, batch_id, [Refusal(row.line, row.document, *reason) for row in rows])
    connection.execute(update(BatchDocument).where(*waits).values(state=_FAILED))


def wait_again(connection: Connection, batch_id: str) -> int:
    """Let those wait again that were refused because of their parts; returns how many."""
    refused = (BatchRefusal.batch_id == batch_id, BatchRefusal.code == PARTS_FAILED)
    lines = list(connection.scalars(select(BatchRefusal.line).where(*refused)))
    for some in accepting.chunks(lines):
        connection.execute(
            update(BatchDocument)
            .where(BatchDocument.batch_id == batch_id, BatchDocument.line.in_(some))
            .values(state=_WAITING)
        )
    connection.execute(delete(BatchRefusal).where(*refused))
    return len(lines)


def is_waiting() -> ColumnElement[bool]:
    """A condition on documents."""
    return BatchDocument.state == _WAITING


def _waits_in(batch_id: str) -> tuple[ColumnElement[bool], ...]:
    return (BatchDocument.batch_id == batch_id, is_waiting())


def _ready(
    database: Database,
    batch_id: str | None,
    *,
    after: tuple[str, int],
    leave_out: Collection[str],
) -> list[_Waiting]:
    """The next documents that wait for nothing more, by batch and line, without some batches."""
    part = (
        Job.batch_id == BatchDocument.batch_id,
        Job.batch_line.between(BatchDocument.first_line, BatchDocument.last_line),
    )
    query = (
        select(BatchDocument)
        .join(Batch, Batch.id == BatchDocument.batch_id)
        .where(Batch.state == BatchState.RUNNING.value, is_waiting())
        .where(~exists().where(*part, Job.finished_ms.is_(None)))
        .where(tuple_(BatchDocument.batch_id, BatchDocument.line) > after)
        .where(BatchDocument.batch_id.not_in(leave_out))
        .order_by(BatchDocument.batch_id, BatchDocument.line)
        .limit(_PAGE)
    )
    if batch_id is not None:
        query = query.where(BatchDocument.batch_id == batch_id)
    with database.read() as connection:
        rows = connection.execute(query).all()
        return [
            _Waiting(row.batch_id, row.line, row.document, row.request, _answers(connection, row))
            for row in rows
        ]


def _answers(connection: Connection, row: Any) -> list[str | None]:
    """One for each part, in order; a part that was refused is not even a job."""
    query = (
        select(Job.batch_line, JobResult.text)
        .join(JobResult, JobResult.job_id == Job.id)
        .where(Job.batch_id == row.batch_id, Job.state == JobState.SUCCEEDED.value)
        .where(Job.batch_line.between(row.first_line, row.last_line))
    )
    found = {r.batch_line: r.text for r in connection.execute(query)}
    return [found.get(line) for line in range(row.first_line, row.last_line + 1)]


def _draft(waiting: _Waiting, settings: Settings) -> Draft | Refusal:
    batch_id, line, document, _, answers = waiting
    missing = sum(answer is None for answer in answers)
    if missing:
        message = f"{missing} of its {len(answers)} parts have no answer; retry them"
        return Refusal(line, document, PARTS_FAILED, message, None)
    try:
        request = _filled(waiting)
        draft = Draft(request, route(request, settings))
    except PenstockError as error:
        return Refusal(line, document, error.code, error.message, None)
    return draft._replace(place=Place(batch_id, line, document, line))


def _filled(waiting: _Waiting) -> Request:
    request = Request.model_validate_json(waiting.request)
    *before, template = request.messages
    try:
        text = ENVIRONMENT.from_string(template.content).render(
            parts=list(waiting.answers), document=waiting.document
        )
    except TEMPLATE_ERRORS as error:
        raise InvalidRequest(f"the reduce prompt cannot be filled: {error}") from None
    filled = template.model_copy(update={"content": text})
    fields = request.model_dump(exclude={"messages", "sampling"})
    sampling = request.sampling.model_dump()
    return Request.build([*before, filled], **fields, **sampling)


def _end_wait(
    database: Database, estimator: Estimator, ready: _Waiting, outcome: Draft | Refusal, now_ms: int
) -> bool:
    """Let a document wait no more; False when somebody else did it. Raises BudgetExceeded."""
    where = (*_waits_in(ready.batch_id), BatchDocument.line == ready.line)
    if isinstance(outcome, Refusal):
        with database.write() as connection:
            refused = connection.execute(update(BatchDocument).where(*where).values(state=_FAILED))
            if refused.rowcount:
                refuse(connection, ready.batch_id, [outcome])
            return bool(refused.rowcount)
    drafts = estimator.with_holds([outcome], now_ms)
    with database.write() as connection:
        entered = connection.execute(delete(BatchDocument).where(*where))
        if entered.rowcount:
            enter(connection, drafts, is_sqlite=database.is_sqlite, now_ms=now_ms)
        return bool(entered.rowcount)
