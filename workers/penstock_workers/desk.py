"""The desk: where a Celery task hands in its job and hears how it ended."""

from collections.abc import Sequence

from penstock_shared import clock
from penstock_shared.errors import InvalidRequest, JobNotFound
from penstock_shared.ids import MAX_JOB_ID_CHARS
from penstock_shared.ledger import accepting, reading
from penstock_shared.ledger.accepting import Accepted, Draft, Outcome
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.estimating import Estimator
from penstock_shared.request import Request
from penstock_shared.routing import route
from penstock_shared.settings import Settings
from penstock_shared.words import JobState
from penstock_workers.intake import Intake
from penstock_workers.patience import Patience


class Desk:
    """What the task penstock.infer needs from its worker."""

    def __init__(
        self,
        tier: str,
        *,
        settings: Settings,
        database: Database,
        intake: Intake,
        patience: Patience,
    ) -> None:
        self.tier = tier
        self._settings = settings
        self._database = database
        self._intake = intake
        self._patience = patience
        self._estimator = Estimator(settings, database)

    def take_in(self, job_id: str, request: Request, sent_to: str | None) -> str:
        """Put a foreign Celery job into the ledger; returns the tier it was routed to.

        ``sent_to`` is the tier in whose queue it came, None when it came in Celery's default
        queue. Raises InvalidRequest and its kinds.
        """
        if len(job_id) > MAX_JOB_ID_CHARS:
            raise InvalidRequest(f"the task id is longer than {MAX_JOB_ID_CHARS} characters")
        draft = Draft(request, route(request, self._settings, sent_to=sent_to), job_id)
        [outcome] = self._patience.call(lambda: self._accept(draft))
        if isinstance(outcome, Accepted):
            return outcome.tier
        raise outcome

    def answers(self, job_ids: Sequence[str]) -> list[str]:
        """The answers of jobs that succeeded, in order. Raises JobNotFound."""
        found = self._patience.call(lambda: reading.fetch(self._database, job_ids))
        texts = [found[job_id].text if job_id in found else None for job_id in job_ids]
        missing = [j for j, text in zip(job_ids, texts, strict=True) if text is None]
        if missing:
            raise JobNotFound(f"there is no answer of job {missing[0]} in this ledger")
        return [text for text in texts if text is not None]

    def outcome(self, job_id: str) -> JobState:
        """Deliver a job, wait, and return how it stands. Raises Requeue."""
        return self._intake.deliver(job_id).result()

    def _accept(self, draft: Draft) -> list[Outcome]:
        now = clock.now_ms()
        drafts = self._estimator.with_holds([draft], now)
        return accepting.accept(self._database, drafts, now, published=True)
