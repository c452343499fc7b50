"""A batch in a program's hands: its results as they come, and what can be done with it."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, Self

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.following import Follower
from penstock_producer.batch.line_set import LineSet
from penstock_producer.batch.options import usd
from penstock_producer.batch.pausing import is_at_rest
from penstock_producer.batch.running import BatchRun, Summary
from penstock_producer.batch.threads import Background
from penstock_shared import clock, money
from penstock_shared.errors import LedgerUnavailable, ResultTimeout
from penstock_shared.ledger.batches import lines, records
from penstock_shared.ledger.batches.lines import Counts
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0


class BatchHandle:
    """A batch that goes on in the background: lines are loaded, and written where ``out`` is given.

    Iterating gives every line as it ends, those that ended before included, each once, until all
    have ended or the batch was cancelled or paused. Several may iterate.
    """

    def __init__(
        self,
        database: Database,
        batch_id: str,
        run: BatchRun | None = None,
        when_done: Callable[[], None] | None = None,
    ) -> None:
        self.id = batch_id
        self._when_done = when_done
        self._database = database
        self._stop = threading.Event()
        self._summary: Summary | None = None
        self._run = run
        self._is_torso = run is not None and not run.writes
        self._work = Background(self._go, "penstock-batch")
        if run is not None:
            self._work.start()

    @classmethod
    def of(cls, database: Database, batch_id: str) -> Self:
        """A batch that somebody has made; here nothing is done for it. Raises BatchNotFound."""
        handle = cls(database, batch_id)
        handle.record()
        return handle

    def __repr__(self) -> str:
        return f"<Batch {self.id}>"

    def __iter__(self) -> Iterator[EndedLine]:
        """Lines as they end: ``line``, ``custom_id``, ``result`` and, without one, ``error``."""
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[EndedLine]]:
        """The same in groups; an empty one says that nothing has ended for a while."""
        known = LineSet()
        follower = Follower(self._database, self.id, known)
        pause_s = _SHORTEST_PAUSE_S
        while True:
            is_over = False
            count = len(known)
            try:
                record = self.record()
                is_over = self._is_over(record)
                yield from follower.everything() if is_over else follower.poll()
            except LedgerUnavailable:
                is_over = False  # an outage costs time only
            self._work.raise_error()
            if is_over or (count < len(known) == record.total):
                return
            if count == len(known):
                yield []
                self._stop.wait(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, 1.5 * pause_s)
            else:
                pause_s = _SHORTEST_PAUSE_S

    def wait(self, timeout: float | None = None) -> Summary | None:
        """Wait until the work of this process is done: loading, and with ``out`` the writing.

        Returns the summary of what was written. Raises ResultTimeout, and what went wrong.
        """
        self._work.join(timeout)
        self._work.raise_error()
        if self._work.is_running:
            raise ResultTimeout(f"batch {self.id} goes on after {timeout:g} s")
        return self._summary

    def record(self) -> BatchRecord:
        """The batch as it stands now."""
        return records.get(self._database, self.id)

    def counts(self) -> Counts:
        """How many lines stand how."""
        return lines.count(self._database, self.id)

    def cancel(self) -> BatchRecord:
        """Withdraw every line that has not ended."""
        return records.cancel(self._database, self.id, clock.now_ms())

    def pause(self) -> BatchRecord:
        """Let no worker begin another line."""
        return records.pause(self._database, self.id, "it was paused by its program")

    def resume(self, max_cost_usd: object = None) -> BatchRecord:
        """Let workers go on, up to a new limit of money if one is given."""
        limit = None if max_cost_usd is None else money.from_usd(usd(max_cost_usd, "max_cost_usd"))
        return records.resume(self._database, self.id, max_cost_pusd=limit)

    def retry_failed(self) -> int:
        """Give failed, dead and expired lines all their attempts again; how many there were."""
        return lines.retry_failed(self._database, self.id)

    def close(self) -> None:
        """Stop what this process does for the batch; what is loaded goes on.

        With ``name`` or ``out`` the same call loads the rest. Without them nobody could, so a batch
        that is not all loaded is cancelled.
        """
        self._stop.set()
        self._work.join()
        if self._is_torso:
            try:
                if self.record().out is None:
                    self.cancel()
            except LedgerUnavailable as error:
                log.warning("batch %s is not all loaded; cancel it: %s", self.id, error.message)

    def _go(self) -> None:
        if self._run is None:
            return
        try:
            if self._run.writes:
                self._summary = self._run.run(stop=self._stop)
            else:
                self._is_torso = not self._run.load(self._stop).is_loaded
        except LedgerUnavailable:
            if not self._stop.is_set():
                raise
        finally:
            if self._when_done is not None:
                self._when_done()

    def _is_over(self, record: BatchRecord) -> bool:
        """Whether nothing more will end; the last lines may not have been seen."""
        if self._stop.is_set():
            return True
        if not is_at_rest(record, self.counts(), is_loading=self._work.is_running):
            return False
        records.complete(self._database, clock.now_ms(), self.id)
        return True


class AsyncBatchHandle:
    """The same with await: ``async for line in batch``."""

    def __init__(self, handle: BatchHandle) -> None:
        self._handle = handle
        self.id = handle.id

    def __repr__(self) -> str:
        return repr(self._handle)

    async def __aiter__(self) -> AsyncIterator[EndedLine]:
        """Lines as they end; as BatchHandle."""
        pages = self._handle.pages()
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            for each in page:
                yield each

    async def wait(self, timeout: float | None = None) -> Summary | None:
        """As BatchHandle.wait."""
        return await asyncio.to_thread(self._handle.wait, timeout)

    async def record(self) -> BatchRecord:
        """The batch as it stands now."""
        return await asyncio.to_thread(self._handle.record)

    async def counts(self) -> Counts:
        """How many lines stand how."""
        return await asyncio.to_thread(self._handle.counts)

    async def cancel(self) -> BatchRecord:
        """Withdraw every line that has not ended."""
        return await asyncio.to_thread(self._handle.cancel)

    async def pause(self) -> BatchRecord:
        """Let no worker begin another line."""
        return await asyncio.to_thread(self._handle.pause)

    async def resume(self, max_cost_usd: object = None) -> BatchRecord:
        """As BatchHandle.resume."""
        return await asyncio.to_thread(self._handle.resume, max_cost_usd)

    async def retry_failed(self) -> int:
        """As BatchHandle.retry_failed."""
        return await asyncio.to_thread(self._handle.retry_failed)

    async def close(self) -> None:
        """As BatchHandle.close."""
        await asyncio.to_thread(self._handle.close)
