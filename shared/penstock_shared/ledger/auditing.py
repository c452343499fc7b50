"""The audit: does all that workers were paid for add up, and which jobs have no charge, and why?

Everything is read as of one moment. Amounts are picodollars, moments milliseconds since 1970.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, or_, select

from penstock_shared.ledger import worker_time
from penstock_shared.ledger.auditing_budgets import budget_problems
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import BudgetPeriod, Charge, Job, JobResult, WorkerTime
from penstock_shared.words import JobState, Source

_DAY_MS: Final = 86_400_000  # clocks of hosts differ by less


class Window(NamedTuple):
    """From a moment on, until before another; None: without a border."""

    since_ms: int | None = None
    until_ms: int | None = None

    def holds(self, moment: Any) -> list[ColumnElement[bool]]:
        """Conditions for a moment in it."""
        after = [] if self.since_ms is None else [moment >= self.since_ms]
        return after if self.until_ms is None else [*after, moment < self.until_ms]


class LifeState(StrEnum):
    """Where a worker's life stands."""

    RUNNING = "running"
    ENDED = "ended"
    SILENT = "silent"  # its lease ran out, and no sweep has ended it yet
    UNKNOWN = "unknown"  # it has charges, and no books


class Life(NamedTuple):
    """One life of one worker, and what its time was spent on."""

    worker_id: str
    tier: str
    state: LifeState
    started_ms: int
    until_ms: int  # its end, or its last heartbeat
    paid_pusd: int  # price x time, as its books say
    booked_pusd: int  # charges, as its books say
    charged_pusd: int  # charges, added up one by one
    charges: int  # how many
    waste_pusd: int
    idle_pusd: int
    in_flight_pusd: int  # used by requests that are in the engine or not settled yet
    unpaid_pusd: int = 0  # of an ended life: what price x time is more than paid_pusd

    @property
    def difference_pusd(self) -> int:
        """What does not add up."""
        spent = self.charged_pusd + self.waste_pusd + self.idle_pusd + self.in_flight_pusd
        return self.paid_pusd - spent

    def problems(self) -> Iterator[str]:
        """What is wrong with it, each in one line."""
        if self.state is LifeState.UNKNOWN:
            yield f"{self.worker_id}: {self.charges} charges of a worker without books"
            return
        if self.charged_pusd != self.booked_pusd:
            more = self.charged_pusd - self.booked_pusd
            yield f"{self.worker_id}: its charges are {more} picodollars more than its books say"
        if (rest := self.difference_pusd + self.charged_pusd - self.booked_pusd) != 0:
            yield f"{self.worker_id}: {rest} picodollars of its price x time are not explained"
        if self.unpaid_pusd:
            seconds = (self.until_ms - self.started_ms) / 1000
            due, paid = self.paid_pusd + self.unpaid_pusd, self.paid_pusd
            yield (
                f"{self.worker_id}: it lived for {seconds:.1f} s, which cost {due} picodollars, "
                f"and its books have {paid}; seconds are missing, or its clock was set"
            )
        for name in ("paid", "charged", "waste", "idle"):
            if (amount := getattr(self, f"{name}_pusd")) < 0:
                yield f"{self.worker_id}: {name} is negative ({amount} picodollars)"


class Uncharged(NamedTuple):
    """Jobs that cost nothing, or must not cost anything, for one reason."""

    reason: str
    jobs: int
    example: str  # the id of the oldest
    is_wrong: bool = False


class Audit(NamedTuple):
    """What was found."""

    lives: list[Life]
    uncharged: list[Uncharged]
    problems: list[str]

    def total(self, column: str) -> int:
        """The sum over all lives of a column of Life."""
        return sum(getattr(life, column) for life in self.lives)


def audit(database: Database, window: Window, *, silent_before_ms: int) -> Audit:
    """Check the books of the workers whose life ended in the window, or were last seen in it.

    A life counts as a whole, so that each is in one of the windows that meet. Of jobs, those count
    that were accepted in the window. A worker that was not seen since ``silent_before_ms`` is taken
    for dead, as a sweep would do: what it had begun is waste. Budgets are checked in the
    periods that began in the window.
    """
    with database.snapshot() as connection:
        books = connection.execute(_books(window)).all()
        lives = _lives(connection, books, window, silent_before_ms)
        uncharged = _merged(connection.execute(_grouped(window)).all())
        budgets = list(budget_problems(connection, window.holds(BudgetPeriod.starts_ms)))
    problems = [line for life in lives for line in life.problems()]
    problems += [f"{u.jobs} jobs {u.reason}, such as {u.example}" for u in uncharged if u.is_wrong]
    return Audit(lives, uncharged, problems + budgets)


def uncharged_jobs(database: Database, window: Window) -> Iterator[tuple[str, str]]:
    """Every job without a charge, or with one of nothing: its id and the reason, oldest first."""
    query = _uncharged(window, Job.id, *_GROUP).order_by(Job.created_ms, Job.id)
    with database.snapshot() as connection:
        for row in connection.execution_options(yield_per=1000).execute(query):
            yield row.id, _reason(row)[0]


def _books(window: Window) -> Select[Any]:
    last = func.coalesce(WorkerTime.ended_ms, WorkerTime.seen_ms)
    columns = WorkerTime.__table__.columns
    return select(*columns).where(*window.holds(last)).order_by(WorkerTime.started_ms)


def _lives(
    connection: Connection, books: Sequence[Row[Any]], window: Window, silent_before_ms: int
) -> list[Life]:
    query = select(Charge.worker_id, func.count(), func.sum(Charge.amount_pusd))
    if window != Window():  # else all of them, without a detour over an index
        begin = min([b.started_ms for b in books], default=window.since_ms or 0)
        query = query.where(Charge.created_ms >= begin - _DAY_MS)
    sums = {i: (n, int(s)) for i, n, s in connection.execute(query.group_by(Charge.worker_id))}
    known = set(connection.scalars(select(WorkerTime.worker_id)))
    lives = [_life(b, *sums.get(b.worker_id, (0, 0)), silent_before_ms) for b in books]
    return lives + [_unknown(i, *sums[i]) for i in sorted(sums.keys() - known)]


def _life(books: Row[Any], charges: int, charged_pusd: int, silent_before_ms: int) -> Life:
    paid, idle, lost = books.paid_pusd, books.idle_pusd, books.lost_pusd
    state, in_flight, unpaid = LifeState.ENDED, 0, 0
    if books.ended_ms is None and books.seen_ms < silent_before_ms:
        state = LifeState.SILENT
        paid, idle, lost = worker_time.at_its_end(books, died=True).values()
    elif books.ended_ms is None:
        state = LifeState.RUNNING
        in_flight = max(0, paid - books.charged_pusd - books.waste_pusd - lost - idle)
    else:
        lived_ms = books.ended_ms - books.started_ms
        unpaid = worker_time.unpaid(books.price_per_hour_pusd, lived_ms, paid)
    return Life(
        worker_id=books.worker_id,
        tier=books.tier,
        state=state,
        started_ms=books.started_ms,
        until_ms=books.ended_ms or books.seen_ms,
        paid_pusd=paid,
        booked_pusd=books.charged_pusd,
        charged_pusd=charged_pusd,
        charges=charges,
        waste_pusd=books.waste_pusd + lost,
        idle_pusd=idle,
        in_flight_pusd=in_flight,
        unpaid_pusd=unpaid,
    )


def _unknown(worker_id: str, charges: int, charged_pusd: int) -> Life:
    return Life(worker_id, "", LifeState.UNKNOWN, 0, 0, 0, 0, charged_pusd, charges, 0, 0, 0)


_HAS_CHARGE: Final = Charge.job_id.is_not(None)
_GROUP: Final = (
    Job.state.label("state"),
    case((_HAS_CHARGE, 1), else_=0).label("is_charged"),
    JobResult.source.label("source"),
)


def _uncharged(window: Window, *columns: Any) -> Select[Any]:
    """Jobs that have no charge, or one of nothing, or one that they should not have."""
    of_nothing = and_(JobResult.job_id == Job.id, Charge.amount_pusd == 0)
    return (
        select(*columns)
        .select_from(Job)
        .outerjoin(Charge, Charge.job_id == Job.id)
        .outerjoin(JobResult, of_nothing)
        .where(
            or_(
                Charge.job_id.is_(None),
                Charge.amount_pusd == 0,
                Job.state != JobState.SUCCEEDED.value,
            ),
            *window.holds(Job.created_ms),
        )
    )


def _grouped(window: Window) -> Select[Any]:
    names = ("state", "is_charged", "source")
    query = _uncharged(window, *_GROUP, func.count().label("jobs"), func.min(Job.id).label("id"))
    return query.group_by(*names)


def _merged(rows: Sequence[Row[Any]]) -> list[Uncharged]:
    found: dict[tuple[str, bool], Uncharged] = {}
    for row in rows:
        reason, is_wrong = _reason(row)
        before = found.get((reason, is_wrong), Uncharged(reason, 0, row.id, is_wrong))
        example = min(before.example, row.id)
        found[reason, is_wrong] = Uncharged(reason, before.jobs + row.jobs, example, is_wrong)
    return sorted(found.values(), key=lambda each: (not each.is_wrong, each.reason))


def _reason(row: Row[Any]) -> tuple[str, bool]:
    """Why a job is not charged, and whether that is wrong."""
    has_answer = row.state == JobState.SUCCEEDED
    if has_answer and not row.is_charged:
        return "succeeded without a charge", True
    if row.is_charged and not has_answer:
        return f"{row.state} with a charge", True
    if not has_answer:
        return str(row.state), False
    if row.source == Source.JOINED:
        return "joined", False
    if row.source == Source.ENCODER:
        return "embedding", False
    return ("cached" if row.source in {Source.EXACT, Source.SEMANTIC} else "free"), False
