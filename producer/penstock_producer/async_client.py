"""The same client with await; concurrent submits travel together."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from penstock_producer.client import Client, Job
from penstock_producer.coalescing import Coalescer
from penstock_producer.items import Prompt
from penstock_shared.errors import PenstockError, ResultTimeout
from penstock_shared.request import Request
from penstock_shared.result import Result
from penstock_shared.settings import Settings
from penstock_shared.words import JobState

if TYPE_CHECKING:
    from penstock_producer.batch.handle import AsyncBatchHandle


class AsyncJob:
    """A job that was accepted, with await."""

    def __init__(self, client: "AsyncClient", job: Job) -> None:
        self._client = client
        self._job = job
        self.id = job.id
        self.tier = job.tier
        self.reason = job.reason
        self.is_new = job.is_new
        self.published = job.published

    def __repr__(self) -> str:
        return repr(self._job)

    async def result(self, timeout: float | None = None) -> Result:
        """Wait up to ``timeout`` seconds for the answer; errors as in Job.result."""
        return await self._client.result(self.id, timeout)

    async def status(self) -> JobState:
        """Where the job stands now."""
        return (await self._client.fetch(self.id)).status

    async def cancel(self) -> JobState:
        """Withdraw the job."""
        return await self._client.cancel(self.id)


class AsyncClient:
    """A Client for one event loop.

    ``submit`` calls that are under way at the same time become one insert and one publish: 16 of
    them, or those of 50 ms, whichever comes first. Each caller gets its own outcome.
    """

    def __init__(self, settings: Settings | None = None, *, home: Path | str | None = None) -> None:
        self._client = Client(settings, home=home)
        self._submits: Coalescer[Request, Job] = Coalescer(self._submit_group)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Send what is under way and free the connections."""
        await self._submits.flush()
        await asyncio.to_thread(self._client.close)

    async def submit(self, prompt: Prompt, **arguments: Any) -> AsyncJob:
        """Accept one prompt; arguments and errors as in Client.submit."""
        metadata = dict(arguments.pop("metadata", None) or {})
        request = Request.build(prompt, metadata=metadata, **arguments)
        return AsyncJob(self, await self._submits.add(request))

    async def submit_many(
        self, prompts: Iterable[Prompt | Mapping[str, Any] | Request], **common: Any
    ) -> list[AsyncJob]:
        """Accept many; as Client.submit_many."""
        jobs = await asyncio.to_thread(partial(self._client.submit_many, prompts, **common))
        return [AsyncJob(self, job) for job in jobs]

    async def batch(
        self,
        source: Path | str | Iterable[Prompt | Mapping[str, Any] | Request],
        **arguments: Any,
    ) -> "AsyncBatchHandle":
        """Run a file, or prompts without end; arguments and errors as in Client.batch."""
        from penstock_producer.batch.handle import AsyncBatchHandle

        make = partial(self._client.batch, source, **arguments)
        return AsyncBatchHandle(await asyncio.to_thread(make))

    async def batch_of(self, batch_id: str) -> "AsyncBatchHandle":
        """A batch that somebody has made; as Client.batch_of."""
        from penstock_producer.batch.handle import AsyncBatchHandle

        return AsyncBatchHandle(await asyncio.to_thread(self._client.batch_of, batch_id))

    async def fetch(self, job_id: str) -> Result:
        """The job as it stands now, without waiting."""
        return await asyncio.to_thread(self._client.fetch, job_id)

    async def result(self, job_id: str, timeout: float | None = None) -> Result:
        """Wait for one job; as Client.result."""
        ended = asyncio.wrap_future(self._client.future(job_id))
        try:
            await asyncio.wait_for(asyncio.shield(ended), timeout)
        except TimeoutError:
            raise ResultTimeout(
                f"job {job_id} has no result after {timeout:g} s; it goes on, ask again later"
            ) from None
        result = await self.fetch(job_id)
        result.raise_for_status()
        return result

    async def cancel(self, job_id: str) -> JobState:
        """Withdraw a job; as Client.cancel."""
        return await asyncio.to_thread(self._client.cancel, job_id)

    async def as_completed(
        self, jobs: Iterable[AsyncJob], timeout: float | None = None
    ) -> AsyncIterator[Result]:
        """Results in the order in which the jobs end, failed ones included.

        Raises ResultTimeout when not all ended within ``timeout`` seconds.
        """
        jobs = list(jobs)
        waits = [asyncio.wrap_future(self._client.future(job.id)) for job in jobs]
        ids = dict(zip(waits, (job.id for job in jobs), strict=True))
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        pending = set(waits)
        while pending:
            left = None if end is None else max(0.0, end - loop.time())
            done, pending = await asyncio.wait(
                pending, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise ResultTimeout(f"{len(pending)} jobs have no result after {timeout:g} s")
            for wait in done:
                yield await self.fetch(ids[wait])

    async def _submit_group(self, requests: list[Request]) -> list[Job | PenstockError]:
        receipts = await asyncio.to_thread(self._client.submit_group, requests)
        return [receipt.error or self._client.job_of(receipt) for receipt in receipts]
