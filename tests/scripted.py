"""A worker without engine and broker: claims what is queued and settles it as it was told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import select

from penstock_shared import clock
from penstock_shared.ledger import claiming, settling
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.ledger.settling import Account, Settlement
from penstock_shared.words import JobState
from tests.examples import an_answer, succeeded

_PAUSE_S = 0.005
_ACCOUNT = Account("scripted-worker", "small")
Script = Callable[[Claim], Settlement | None]


def echo(claim: Claim) -> Settlement:
    """Answer with the question."""
    return succeeded(claim, cost_pusd=1000, answer=an_answer(f"re: {claim.request.question}"))


@contextmanager
def working(url: str, script: Script = echo) -> Iterator[threading.Event]:
    """Work in a thread until the block ends; a claim for which the script has None is kept.

    The event lets the work begin when it is set at once by the caller, or later; until then
    nothing is claimed.
    """
    begin, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=_work, args=(url, script, begin, end))
    thread.start()
    try:
        yield begin
    finally:
        end.set()
        begin.set()
        thread.join(60)


def _work(url: str, script: Script, begin: threading.Event, end: threading.Event) -> None:
    begin.wait()
    database = Database(url)
    try:
        while not end.wait(_PAUSE_S):
            _work_once(database, script)
    finally:
        database.close()


def _work_once(database: Database, script: Script) -> None:
    waiting = select(Job.id).where(Job.state == JobState.QUEUED.value).order_by(Job.created_ms)
    with database.read() as connection:
        job_ids = list(connection.execute(waiting).scalars())
    if not job_ids:
        return
    claims = claiming.claim(
        database,
        job_ids,
        worker_id=_ACCOUNT.worker_id,
        lease_ms=60_000,
        now_ms=clock.now_ms(),
    ).claims
    settlements = [s for claim in claims if (s := script(claim)) is not None]
    if settlements:
        settling.settle(database, _ACCOUNT, settlements, clock.now_ms())
