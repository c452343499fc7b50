"""The client: submit prompts, come back for the answers."""

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from penstock_producer.items import Prompt, numbered_item, numbered_request
from penstock_producer.waiting import Ended, Waiter
from penstock_shared import clock
from penstock_shared.broker import Publisher, Wakeup, make_app
from penstock_shared.errors import (
    BrokerUnavailable,
    LedgerUnavailable,
    PenstockError,
    ResultTimeout,
)
from penstock_shared.ledger import accepting, claiming, reading
from penstock_shared.ledger.accepting import Accepted, Draft, Outcome
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.estimating import Estimator
from penstock_shared.ledger.migrate import check_schema
from penstock_shared.request import Request
from penstock_shared.result import Result
from penstock_shared.routing import route
from penstock_shared.settings import Settings, load_settings
from penstock_shared.words import JobState

if TYPE_CHECKING:
    from penstock_producer.batch.handle import BatchHandle

_FIRST_BULK: Final = 64  # workers start on these while the others are inserted
_BULK: Final = 1_000


class Receipt(NamedTuple):
    """The outcome of one submit in a group."""

    accepted: Accepted | None
    error: PenstockError | None
    published: bool = True


class Job:
    """A job that was accepted: durable from here on."""

    def __init__(self, client: "Client", accepted: Accepted, *, published: bool) -> None:
        self._client = client
        self.id = accepted.job_id
        self.tier = accepted.tier
        self.reason = accepted.reason
        self.is_new = accepted.is_new
        self.published = published

    def __repr__(self) -> str:
        return f"<Job {self.id} on {self.tier}>"

    def result(self, timeout: float | None = None) -> Result:
        """Wait up to ``timeout`` seconds for the answer.

        Raises ResultTimeout when the wait is over (the job goes on), and JobFailed, JobCancelled,
        JobExpired or JobDead when there is no answer.
        """
        return self._client.result(self.id, timeout)

    def status(self) -> JobState:
        """Where the job stands now."""
        return self._client.fetch(self.id).status

    def cancel(self) -> JobState:
        """Withdraw the job; a running one ends within a heartbeat."""
        return self._client.cancel(self.id)


class Client:
    """A producer's connection to the ledger and the broker. Thread-safe; close it when done.

    Settings come from penstock.toml and PENSTOCK_* variables, unless given; ``home`` names the
    home of an embedded stack.
    """

    def __init__(self, settings: Settings | None = None, *, home: Path | str | None = None) -> None:
        self._settings = settings or load_settings(home)
        self._database = Database(self._settings.ledger)
        try:
            check_schema(self._database)
        except PenstockError:
            self._database.close()
            raise
        self._batches: list[BatchHandle] = []
        self._publisher = Publisher(make_app(self._settings))
        self._waiter = Waiter(self._database)
        self._estimator = Estimator(self._settings, self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the connections. Batches go on with the same call, if it has ``name`` or ``out``;
        one without either that is not all loaded is cancelled: nobody could load the rest.
        """
        for batch in self._batches:
            batch.close()
        self._waiter.close()
        self._publisher.close()
        self._database.close()

    def submit(
        self,
        prompt: Prompt,
        *,
        tier: str | None = None,
        task_type: str | None = None,
        tenant: str = "default",
        workflow: str | None = None,
        deadline: datetime | timedelta | float | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        cache: bool = True,
        kind: str | None = None,
        response_format: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> Job:
        """Accept one prompt (or chat messages) and return its job.

        ``kind`` is chat, completion (one text to continue) or embedding (each message is a text;
        the answer is a JSON list of vectors). ``response_format`` is OpenAI's: with a JSON Schema,
        ``json.loads(result.text)`` matches it, or the job has failed. ``deadline`` is a moment, a
        timedelta or seconds from now. Sampling parameters have their usual names: max_tokens,
        temperature, top_p, top_k, min_p, seed, stop and the penalties.
        Raises InvalidRequest (and its kinds, such as BudgetExceeded) and LedgerUnavailable; then
        nothing was accepted.
        """
        request = Request.build(
            prompt,
            tier=tier,
            task_type=task_type,
            tenant=tenant,
            workflow=workflow,
            deadline=deadline,
            idempotency_key=idempotency_key,
            metadata=dict(metadata or {}),
            cache=cache,
            kind=kind,
            response_format=response_format,
            **sampling,
        )
        return self.job_of(self.submit_group([request])[0])

    def submit_many(
        self, prompts: Iterable[Prompt | Mapping[str, Any] | Request], **common: Any
    ) -> list[Job]:
        """Accept many: inserted in bulk, published in a pipeline, jobs in the order given.

        Each item is a prompt, messages, a Request, or a mapping with ``prompt`` or ``messages``
        beside any argument of ``submit``; ``common`` holds for all. The items are checked up to
        a thousand at a time: a wrong one raises InvalidRequest with its number, and none of its
        group is accepted. Of a group that was checked, one that conflicts with its key or does not
        fit into its budget raises its error, and the others are accepted.
        """
        numbered = enumerate(prompts, start=1)
        jobs: list[Job] = []
        while some := list(itertools.islice(numbered, _BULK if jobs else _FIRST_BULK)):
            requests = [numbered_request(number, item, common) for number, item in some]
            jobs.extend(self.job_of(receipt) for receipt in self.submit_group(requests))
        return jobs

    def batch(
        self,
        source: Path | str | Iterable[Prompt | Mapping[str, Any] | Request],
        **arguments: Any,
    ) -> "BatchHandle":
        """Run a file, by its path, or what submit_many takes, however many; all is checked first.

        Arguments are those of ``batch.opening.BatchArguments``; with ``name`` or ``out`` the same
        call finds its batch again. Raises InvalidBatch, InvalidRequest, BatchBusy and
        LedgerUnavailable; then nothing was accepted.
        """
        from penstock_producer.batch.opening import open_batch

        handle = open_batch(self._settings, self._database, source, numbered_item, arguments)
        self._batches.append(handle)
        return handle

    def batch_of(self, batch_id: str) -> "BatchHandle":
        """A batch that somebody has made. Raises BatchNotFound."""
        from penstock_producer.batch.handle import BatchHandle

        return BatchHandle.of(self._database, batch_id)

    def submit_group(self, requests: Sequence[Request]) -> list[Receipt]:
        """Accept requests in one insert and one publish, one outcome for each, in order."""
        receipts: list[Receipt | None] = [None] * len(requests)
        drafts: list[Draft] = []
        places: list[int] = []
        for place, request in enumerate(requests):
            try:
                drafts.append(Draft(request, route(request, self._settings)))
                places.append(place)
            except PenstockError as error:
                receipts[place] = Receipt(None, error)
        outcomes = self._accept(drafts)
        accepted = [o for o in outcomes if isinstance(o, Accepted)]
        published = self._publish([a for a in accepted if a.is_new])
        for place, outcome in zip(places, outcomes, strict=True):
            if isinstance(outcome, Accepted):
                receipts[place] = Receipt(outcome, None, published)
            else:
                receipts[place] = Receipt(None, outcome)
        return [receipt for receipt in receipts if receipt is not None]

    def job(self, job_id: str) -> Job:
        """The job of this id. Raises JobNotFound."""
        found = self.fetch(job_id)
        return Job(self, Accepted(job_id, found.tier, found.reason, is_new=False), published=True)

    def job_of(self, receipt: Receipt) -> Job:
        """The job of a receipt. Raises the error of one that was refused."""
        if receipt.accepted is None:
            raise receipt.error or PenstockError("the submit has no outcome")
        return Job(self, receipt.accepted, published=receipt.published)

    def fetch(self, job_id: str) -> Result:
        """The job as it stands now, without waiting. Raises JobNotFound."""
        return reading.fetch_one(self._database, job_id)

    def fetch_many(self, job_ids: Sequence[str]) -> dict[str, Result]:
        """Jobs as they stand now, by id; unknown ids are left out."""
        return reading.fetch(self._database, job_ids)

    def result(self, job_id: str, timeout: float | None = None) -> Result:
        """Wait for one job; see Job.result."""
        try:
            self._waiter.wait(job_id).result(timeout)
        except TimeoutError:
            raise ResultTimeout(
                f"job {job_id} has no result after {timeout:g} s; it goes on, ask again later"
            ) from None
        result = self.fetch(job_id)
        result.raise_for_status()
        return result

    def cancel(self, job_id: str) -> JobState:
        """Withdraw a job; returns its state afterwards. Raises JobNotFound."""
        states = claiming.cancel(self._database, [job_id], clock.now_ms())
        return states.get(job_id) or self.fetch(job_id).status

    def as_completed(self, jobs: Iterable[Job], timeout: float | None = None) -> Iterator[Result]:
        """Results in the order in which the jobs end, failed ones included.

        Raises ResultTimeout when not all ended within ``timeout`` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        open_ids = {job.id for job in jobs}
        ended = Ended()
        self.watch(open_ids, ended)
        while open_ids:
            some = ended.take(None if end is None else max(0.0, end - time.monotonic()))
            if not some:
                raise ResultTimeout(f"{len(open_ids)} jobs have no result after {timeout:g} s")
            open_ids.difference_update(some)
            found = self.fetch_many(some)
            yield from (found[job_id] for job_id in some)

    def watch(self, job_ids: Iterable[str], ended: Ended) -> None:
        """Let ``ended`` receive these ids as their jobs end."""
        for job_id in job_ids:
            self._waiter.wait(job_id).add_done_callback(
                lambda _, job_id=job_id: ended.put(job_id)  # type: ignore[misc]
            )

    def future(self, job_id: str) -> "Future[JobState]":
        """A future of the state in which the job ends."""
        return self._waiter.wait(job_id)

    def _accept(self, drafts: Sequence[Draft]) -> list[Outcome]:
        if not drafts:
            return []
        now = clock.now_ms()
        return accepting.accept(self._database, self._estimator.with_holds(drafts, now), now)

    def _publish(self, accepted: Sequence[Accepted]) -> bool:
        if not accepted:
            return True
        # The jobs are durable already: whatever goes wrong here, a worker's sweeper publishes
        # them later, and a wake-up too many is harmless.
        try:
            self._publisher.publish(Wakeup(a.job_id, a.tier) for a in accepted)
        except BrokerUnavailable:
            return False
        with suppress(LedgerUnavailable):
            accepting.mark_published(self._database, [a.job_id for a in accepted], clock.now_ms())
        return True
