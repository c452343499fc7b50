"""What a drill leaves behind, made without one: a ledger, and what a caller wrote down."""

import sqlite3
from contextlib import closing
from typing import Any, Final

from penstock_producer import drill_client
from penstock_shared.ledger import accepting, reading, settling, worker_time
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Account, Settlement
from penstock_shared.ledger.worker_time import Spent
from penstock_shared.words import JobState
from penstock_workers.drill import history as events
from penstock_workers.drill import script
from penstock_workers.drill.history import History
from penstock_workers.drill.invariants import Facts, check
from penstock_workers.drill.script import TIER
from tests.examples import NOW, a_draft, an_answer, claim_some, lose_engines

WORKER: Final = "drill-1"
CLIENT: Final = "client-0"
LIMIT: Final = 3
COST: Final = 7
FACTS: Final = Facts(TIER, LIMIT)


_FIELDS: Final = (
    events.Submitted,
    events.Accepted,
    events.Refused,
    events.Unsure,
    events.Seen,
    events.Trouble,
)


class World:
    """A ledger, a worker without an engine, and a caller who writes down what it sees."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.history = History([], [], [], [], [], [])
        self.keys = 0
        self.charged = 0
        worker_time.open_books(
            database,
            worker_id=WORKER,
            tier=TIER,
            host="here",
            price_per_hour_pusd=1,
            started_ms=NOW,
        )

    def say(self, line: Any) -> Any:
        """Write an event into the history."""
        of_kind: Any = self.history[list(_FIELDS).index(type(line))]
        of_kind.append(line)
        return line

    def submit(self, prompt: str, *, key: str | None = None, kind: str = "plain") -> str | None:
        self.keys += 1
        key = key or f"k-{self.keys}"
        self.say(events.Submitted(CLIENT, NOW, key, prompt, kind))
        return key

    def ask(self, words: str = "", *, kind: str = "plain") -> str:
        """Have a job accepted; returns its id."""
        prompt = f"drill {self.keys} tokens=3 {words}".strip()
        key = self.submit(prompt, kind=kind)
        job_id = self.accept(prompt, key)
        self.say(events.Accepted(CLIENT, NOW, key, prompt, kind, job_id, is_new=True))
        return job_id

    def accept(self, prompt: str, key: str | None) -> str:
        draft = a_draft(prompt, tier=TIER, idempotency_key=key)
        [outcome] = accepting.accept(self.database, [draft], NOW)
        assert isinstance(outcome, Accepted)
        return outcome.job_id

    def claim(self, job_id: str) -> Claim:
        [claim] = claim_some(self.database, [job_id], worker_id=WORKER, now_ms=NOW + 10**6)
        return claim

    def lose(self, job_id: str) -> None:
        lose_engines(self.database, [self.claim(job_id)], max_attempts=LIMIT)

    def settle(self, job_id: str, *, cost: int = COST, text: str | None = None) -> None:
        claim = self.claim(job_id)
        right = script.answer_of(claim.request.question) if text is None else text
        self.charged += cost
        self.settle_as(Settlement(claim, JobState.SUCCEEDED, cost, an_answer(right)))

    def settle_as(self, settlement: Settlement) -> None:
        settling.settle(self.database, Account(WORKER, TIER), [settlement], NOW)

    def fail(self, job_id: str) -> None:
        self.settle_as(Settlement(self.claim(job_id), JobState.FAILED, 0, error="refused"))

    def read(self, number: int) -> None:
        """Let the caller read all its jobs."""
        job_ids = {line.job_id: None for line in self.history.accepted}
        found = reading.fetch(self.database, list(job_ids))
        for job_id in job_ids:
            fields = drill_client._seen(job_id, found.get(job_id), number)
            fields.pop("event")
            self.say(events.Seen(client=CLIENT, at_ms=NOW, **fields))

    def close_books(self) -> None:
        spent = Spent(self.charged + 5, 5)
        worker_time.close_books(self.database, WORKER, spent, NOW, died=False)

    def rest(self) -> None:
        """All that remains when nothing more happens."""
        self.read(1)
        self.read(2)
        self.close_books()

    def sql(self, statement: str, *values: object) -> None:
        """Change the ledger behind its back."""
        with closing(sqlite3.connect(str(self.database.url.database))) as connection:
            connection.execute(statement, values)
            connection.commit()

    def broken(self, redis_url: str, facts: Facts = FACTS) -> set[str]:
        found = check(self.history, self.database, redis_url, facts)
        return {violation.invariant for violation in found}


def some_jobs(world: World) -> dict[str, str]:
    """One job of every kind, ended as it has to; the good one was lost once."""
    jobs = {name: world.ask() for name in ("plain", "good")}
    jobs |= {"poison": world.ask("poison", kind="poison"), "free": world.ask(kind="long")}
    jobs["refused"] = world.ask("refused", kind="refused")
    world.lose(jobs["good"])
    world.settle(jobs["good"])
    world.settle(jobs["plain"])
    world.settle(jobs["free"], cost=0)
    world.fail(jobs["refused"])
    for _ in range(LIMIT):
        world.lose(jobs["poison"])
    return jobs
