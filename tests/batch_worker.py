"""A worker without an engine: it claims lines of batches from the backlog and settles them."""

import hashlib
import threading
import time
from collections.abc import Callable

from penstock_shared import clock
from penstock_shared.errors import LedgerUnavailable
from penstock_shared.ledger import settling
from penstock_shared.ledger.batches import backlog
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Account, Settlement
from penstock_shared.words import JobState
from tests.examples import an_answer, succeeded

_LEASE_MS = 600_000
COST_PUSD = 1_000

Answering = Callable[[Claim], Settlement]


def answer_or_fail(claim: Claim) -> Settlement:
    """The question in capitals; one that says ``fail`` fails."""
    question = claim.request.question
    if "fail" in question:
        return Settlement(claim, JobState.FAILED, 0, error="it says so")
    return succeeded(claim, COST_PUSD, answer=an_answer(question.upper()))


class BatchWorker:
    """Serves tiers in a thread, within ``with``."""

    def __init__(
        self,
        database: Database,
        *tiers: str,
        answering: Answering = answer_or_fail,
        at_once: int = 64,
        pause_s: float = 0.005,
    ) -> None:
        self._database = database
        self._tiers = tiers or ("small", "medium", "large")
        self._answering = answering
        self._at_once = at_once
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.worker_id = "small-" + hashlib.sha256(str(id(self)).encode()).hexdigest()[:12]
        self.settled = 0

    def __enter__(self) -> "BatchWorker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def serve(self) -> int:
        """Claim and settle once on each tier; returns how many."""
        count = 0
        for tier in self._tiers:
            claims = backlog.claim(
                self._database,
                tier,
                worker_id=self.worker_id,
                lease_ms=_LEASE_MS,
                now_ms=clock.now_ms(),
                limit=self._at_once,
            ).claims
            if claims:
                settlements = [self._answering(claim) for claim in claims]
                self.settled += len(claims)  # before anybody can see that they have ended
                account = Account(self.worker_id, tier)
                settling.settle(self._database, account, settlements, clock.now_ms())
                count += len(claims)
        return count

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if not self.serve():
                    time.sleep(self._pause_s)
            except LedgerUnavailable:
                time.sleep(self._pause_s)
