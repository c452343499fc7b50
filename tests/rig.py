"""A worker's parts around a recorded engine: what goes in and what is aborted can be read."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from typing import Any, Final

from sqlalchemy import event

from penstock_shared.ledger import accepting
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.worker_time import Spent
from penstock_shared.settings import CacheSettings, TierSettings
from penstock_shared.words import JobState
from penstock_workers.backlog import Backlog
from penstock_workers.batcher import Batcher, Lease
from penstock_workers.cache.cache import Cache
from penstock_workers.embedding import Embeddings
from penstock_workers.engine.protocol import Completion, EngineLimits, EngineRequest, Pulse
from penstock_workers.flights import Flights
from penstock_workers.held import Held
from penstock_workers.intake import Intake
from penstock_workers.patience import Patience
from penstock_workers.rendering import Renderer
from penstock_workers.settlement import Settlements
from penstock_workers.shadows import Shadows
from penstock_workers.trials import Trials
from penstock_workers.unfinished import Unfinished
from tests.examples import ACCOUNT, IDENTITY, LEASE, NOW, WORKER, Clock, a_draft, open_books

BOUND_S: Final = 30.0
_PAUSE_S: Final = 0.005


class RecordingEngine:
    """Takes requests and never ends them by itself."""

    def __init__(self, limits: EngineLimits) -> None:
        self.limits = limits
        self.submitted: list[EngineRequest] = []
        self.aborted: list[str] = []
        self.steps = 0
        self.spent = Spent(0, 0)
        self.refuses: Exception | None = None

    def submit(self, requests: Sequence[EngineRequest]) -> None:
        if requests and self.refuses is not None:
            raise self.refuses
        self.submitted.extend(requests)

    def abort(self, request_ids: Sequence[str]) -> None:
        self.aborted.extend(request_ids)

    def write_off(self, cost_pusd: int) -> None:
        wasted = self.spent.wasted_pusd + cost_pusd
        self.spent = self.spent._replace(wasted_pusd=wasted)

    def pulse(self) -> Pulse:
        return Pulse(self.steps, len(self.submitted), self.spent)


class WordTokenizer:
    """One token per word, and no chat template; the word cursed breaks it."""

    chat_template = None

    def encode(self, text: str) -> list[int]:
        if "cursed" in text:
            raise ZeroDivisionError(text)
        return list(range(len(text.split())))

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return " ".join(f"w{token}" for token in token_ids)


class EndingIntake(Intake):
    """An intake that ends where a real one waits for the next job."""

    def next_batch(
        self, has_room: Callable[[], bool], timeout_s: float | None = None
    ) -> list[str] | None:
        return super().next_batch(has_room, timeout_s) if self._waiting else None


class Rig:
    """A worker of the tier small, driven by the test instead of by threads."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock | None = None,
        intake: Intake | None = None,
        encoder: Any = None,
        encoder_of: Callable[[], Any] | None = None,
        max_num_seqs: int = 64,
        max_model_len: int = 4096,
        random: Random | None = None,
        **cache: Any,
    ) -> None:
        open_books(database)
        self.clock = clock or Clock(NOW)
        self.database = database
        self.engine = RecordingEngine(EngineLimits(max_model_len, max_num_seqs, None, None))
        self.flights = Flights()
        if intake is None:  # an empty one is false
            intake = EndingIntake(max_batch_size=16, max_wait_ms=0)
        self.intake = intake
        self.patience = Patience(max_pause_s=0.01)
        settings = CacheSettings(semantic=encoder is not None, **cache)
        self.cache = Cache(
            database,
            settings,
            tier="small",
            identity=IDENTITY,
            encoder=encoder,
            now_ms=self.clock,
        )
        renderer = Renderer(WordTokenizer())
        self.held = Held()
        self.unfinished = Unfinished(
            database=database,
            account=ACCOUNT,
            held=self.held,
            intake=self.intake,
            patience=self.patience,
            max_attempts=3,
            engine=self.engine,
            now_ms=self.clock,
        )
        self.shadows = Shadows(self.flights, self.engine)
        self.trials = Trials(
            database=database,
            tier="small",
            cache=self.cache,
            renderer=renderer,
            shadows=self.shadows,
            engine=self.engine,
            patience=self.patience,
            explore_share=settings.explore_share,
            answer_similarity=settings.answer_similarity,
            now_ms=self.clock,
            random=random,
        )
        self.settlements = Settlements(
            database=database,
            account=ACCOUNT,
            tier=TierSettings(model="a-model", price_per_hour=Decimal(1)),
            intake=self.intake,
            cache=self.cache,
            renderer=renderer,
            flights=self.flights,
            held=self.held,
            unfinished=self.unfinished,
            trials=self.trials,
            engine=self.engine,
            patience=self.patience,
            now_ms=self.clock,
        )
        self.embeddings = Embeddings(
            encoder=encoder_of or (lambda: encoder),
            name="an-encoder",
            settle=self.settlements.add_ended,
            now_ms=self.clock,
        )
        self.batcher = Batcher(
            database=database,
            lease=Lease(WORKER, LEASE),
            held=self.held,
            intake=self.intake,
            backlog=Backlog(
                database=database,
                tier="small",
                worker_id=WORKER,
                lease_ms=LEASE,
                at_once=16,
                flights=self.flights,
                held=self.held,
                engine=self.engine,
                patience=self.patience,
                now_ms=self.clock,
                clock=itertools.count(step=60).__next__,  # it is always time to look
            ),
            cache=self.cache,
            renderer=renderer,
            flights=self.flights,
            engine=self.engine,
            settlements=self.settlements,
            embeddings=self.embeddings,
            trials=self.trials,
            unfinished=self.unfinished,
            patience=self.patience,
            now_ms=self.clock,
        )

    def admit(self, *job_ids: str) -> list["Future[JobState]"]:
        """Deliver jobs, and admit batch after batch until none waits."""
        futures = [self.intake.deliver(job_id) for job_id in job_ids]
        self.batcher.run()
        return futures

    def embed(self) -> None:
        """Answer the embeddings that were admitted so far, and settle them."""
        self.embeddings.stop()
        self.embeddings.run()
        self.settle()

    def settle(self, *completions: Completion) -> None:
        """Settle what ended so far, and these completions."""
        self.settlements.add_completions(completions)
        self.settlements.stop()
        self.settlements.run()

    def compare(self) -> None:
        """Compare what was put to the test so far, and learn from it."""
        self.trials.stop()
        self.trials.run()
        self.cache.refresh()

    @property
    def in_engine(self) -> list[str]:
        """Ids of the requests that the engine was given."""
        return [request.request_id for request in self.engine.submitted]


def accept(database: Database, *prompts: str, **fields: Any) -> list[str]:
    """Put these prompts into the ledger, in their order."""
    outcomes = accepting.accept(database, [a_draft(prompt, **fields) for prompt in prompts], NOW)
    return [outcome.job_id for outcome in outcomes if isinstance(outcome, Accepted)]


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The SQL that the database executes in the block."""
    seen: list[str] = []

    def see(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(database._engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(database._engine, "before_cursor_execute", see)


def plans(database: Database, work: Callable[[], object]) -> str:
    """How the database finds what the queries of ``work`` ask for, as if tables were long."""
    seen: list[tuple[str, Any]] = []

    def see(_connection: object, _cursor: object, statement: str, given: Any, *_: object) -> None:
        seen.append((statement, given))

    event.listen(database._engine, "before_cursor_execute", see)
    try:
        work()
    finally:
        event.remove(database._engine, "before_cursor_execute", see)
    found: list[str] = []
    with database.read() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        for statement, given in seen:
            if statement.startswith(("SELECT", "WITH")):
                found += map(str, connection.exec_driver_sql(explain + statement, given))
    return "\n".join(found)


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(_PAUSE_S)
