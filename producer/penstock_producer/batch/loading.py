"""The loader: lines of an input enter the ledger in groups, each once."""

import threading
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from penstock_producer.batch.inputs import Input
from penstock_producer.batch.line_set import LineSet
from penstock_producer.batch.outages import patiently
from penstock_producer.batch.prefixes import Prefixes
from penstock_producer.batch.preparing import DUPLICATE
from penstock_producer.batch.reading import Line, LineError, Routed
from penstock_shared import clock
from penstock_shared.errors import BudgetExceeded, InvalidBatch
from penstock_shared.ledger.accepting import Draft, Place
from penstock_shared.ledger.batches import lines, loading, records
from penstock_shared.ledger.batches.documents import Document
from penstock_shared.ledger.batches.entering import Refusal
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.estimating import Estimator
from penstock_shared.request import Request
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState

_FIRST_GROUP: Final = 64  # workers start on these while the others are read
_GROUP: Final = 1_000
_GROUP_CHARS: Final = 8 * 1024 * 1024
_PAUSE_S: Final = 1.0  # between looks at a paused batch, or at a budget without room
_CANCELLED: Final = LineError("batch_cancelled", "the batch was cancelled before this line began")
_TWICE: Final = LineError(DUPLICATE, "an earlier line has this custom_id", "custom_id")


class _Group(NamedTuple):
    lines: int
    drafts: list[Draft]
    refusals: list[Refusal]
    documents: list[Document]


class Loader:
    """Brings the lines that are not in the ledger there, from where another command stopped.

    ``run`` returns when all are there, or ``stop`` is set. A paused batch is waited for; of a
    cancelled one the rest is written down as refused, so that every line is accounted for. When a
    budget has no room and no line of the batch is left that could give some back, it is paused.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        source: Input,
        record: BatchRecord,
        duplicates: LineSet,
        stop: threading.Event,
    ) -> None:
        self._database = database
        self._source = source
        self._batch = record
        self._duplicates = duplicates
        self._stop = stop
        self._estimator = Estimator(settings, database)
        self._prefixes = Prefixes()
        self.loaded = record.loaded

    def run(self) -> None:
        """Load. Raises InvalidBatch (input_modified), BatchBusy, and LedgerUnavailable on stop."""
        if self.loaded < self._batch.total:
            last = patiently(lambda: lines.last_number(self._database, self._batch.id), self._stop)
            for group in self._groups(self._source.lines(last + 1)):
                if not self._put(group):
                    return
            if self.loaded != self._batch.total:
                raise self._modified()
        if self._state() is BatchState.CANCELLED:
            # Lines may have entered just behind the cancellation.
            self._patiently_cancel()

    def _groups(self, source: Iterable[Line]) -> Iterator[list[Line]]:
        some: list[Line] = []
        chars, size = 0, _FIRST_GROUP
        for line in source:
            some.append(line)
            chars += len(line.request.question) if line.request else 0
            if len(some) >= size or chars >= _GROUP_CHARS:
                yield some
                some, chars, size = [], 0, _GROUP
        if some:
            yield some

    def _put(self, source: list[Line]) -> bool:
        """Load some lines; False when the loader is to stop."""
        if self.loaded + len(source) > self._batch.total:
            raise self._modified()
        waiting = [source]
        while waiting:
            some = waiting.pop(0)
            state = self._state()
            while state is BatchState.PAUSED and not self._stop.wait(_PAUSE_S):
                state = self._state()
            if self._stop.is_set():
                return False
            try:
                self._load(self._group(some, is_cancelled=state is BatchState.CANCELLED))
            except BudgetExceeded as error:
                if len(some) > 1:
                    half = len(some) // 2
                    waiting = [some[:half], some[half:], *waiting]
                else:
                    waiting = [some, *waiting]
                    self._wait_for_room(error)
        return True

    def _wait_for_room(self, error: BudgetExceeded) -> None:
        counts = patiently(lambda: lines.count(self._database, self._batch.id), self._stop)
        if counts.queued or counts.running:
            self._stop.wait(_PAUSE_S)
        else:
            patiently(
                lambda: records.pause(self._database, self._batch.id, error.message), self._stop
            )

    def _load(self, group: _Group) -> None:
        before, upto = self.loaded, self.loaded + group.lines
        is_retry = False

        def once() -> None:
            nonlocal is_retry
            # A commit whose connection broke may have succeeded.
            if is_retry and records.get(self._database, self._batch.id).loaded == upto:
                return
            is_retry = True
            now = clock.now_ms()
            loading.load(
                self._database,
                self._batch.id,
                loaded=before,
                upto=upto,
                drafts=self._estimator.with_holds(group.drafts, now),
                refusals=group.refusals,
                documents=group.documents,
                now_ms=now,
            )

        patiently(once, self._stop)
        self.loaded = upto

    def _group(self, source: list[Line], *, is_cancelled: bool) -> _Group:
        group = _Group(len(source), [], [], [])
        for line in source:
            error = _CANCELLED if is_cancelled and line.error is None else line.error
            if line.number in self._duplicates:
                error = _TWICE
            if error is not None:
                group.refusals.append(Refusal(line.number, line.custom_id, *error))
            elif line.routed is not None and line.parts is not None:
                name, request = line.custom_id or str(line.number), self._own(line.routed.request)
                group.documents.append(Document(line.number, name, *line.parts, request))
            elif line.routed is not None:
                group.drafts.append(self._draft(line, line.routed))
        return group

    def _draft(self, line: Line, routed: Routed) -> Draft:
        request, way = self._own(routed.request), routed.route
        rank = self._prefixes.rank(line.number, way.tier, request)
        place = Place(self._batch.id, line.number, line.custom_id or str(line.number), rank)
        return Draft(request, way, place=place)

    def _own(self, request: Request) -> Request:
        """The request with the batch's tenant and workflow."""
        batch = self._batch
        workflow = batch.workflow or request.workflow
        if (request.tenant, request.workflow) == (batch.tenant, workflow):
            return request
        return request.model_copy(update={"tenant": batch.tenant, "workflow": workflow})

    def _state(self) -> BatchState:
        return patiently(lambda: records.get(self._database, self._batch.id), self._stop).state

    def _patiently_cancel(self) -> None:
        patiently(
            lambda: records.cancel(self._database, self._batch.id, clock.now_ms()), self._stop
        )

    def _modified(self) -> InvalidBatch:
        return InvalidBatch(
            f"input_modified: {self._source.label} has other lines than when it was checked; "
            "run it again, with another output",
            reason="input_modified",
        )
