"""Unfinished: what this worker claimed and cannot bring to its end."""

from collections.abc import Callable, Sequence

from penstock_shared.ledger import claiming, losing, settling
from penstock_shared.ledger.claiming import Claim, Fenced
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Account
from penstock_shared.words import JobState
from penstock_workers.engine.protocol import Engine
from penstock_workers.held import Held
from penstock_workers.intake import Intake
from penstock_workers.patience import Patience


class Unfinished:
    """Two ways out of a claim without an answer."""

    def __init__(
        self,
        *,
        database: Database,
        account: Account,
        held: Held,
        intake: Intake,
        patience: Patience,
        max_attempts: int,
        engine: Engine,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._account = account
        self._held = held
        self._intake = intake
        self._patience = patience
        self._max_attempts = max_attempts
        self._engine = engine
        self._now_ms = now_ms

    def give_back(self, claims: Sequence[Claim], cost_pusd: int = 0) -> None:
        """Nobody's fault: the jobs and their messages go back, and no attempt counts.

        What they cost is waste.
        """
        if not claims:
            return
        self._patience.call(
            lambda: settling.give_back(
                self._database,
                self._account,
                claims,
                cost_pusd,
                self._now_ms(),
                spent=self._engine.pulse().spent,
            )
        )
        self._held.drop(claims)
        for claim in claims:
            self._intake.send_back(claim.job_id)

    def lose(self, claims: Sequence[Fenced], reason: str, *, together: bool) -> None:
        """Something died of them: the attempt counts, unless they were in it together.

        A sweep publishes those again that may still run, so that their messages are done.
        """
        if not claims:
            return
        self._patience.call(
            lambda: losing.lose(
                self._database,
                claims,
                reason=reason,
                together=together,
                now_ms=self._now_ms(),
                max_attempts=self._max_attempts,
            )
        )
        self._held.drop(claims)
        ids = [claim.job_id for claim in claims]
        states = self._patience.call(lambda: claiming.states(self._database, ids))
        for job_id in ids:
            self._intake.resolve(job_id, states.get(job_id, JobState.QUEUED))
