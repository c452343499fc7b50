"""The loader: lines of an input enter the ledger in groups, each once."""

import threading
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from penstock_producer.batch.inputs import Input
from penstock_producer.batch.line_set import LineSet
from penstock_producer.batch.outages import patiently
from penstock_producer.batch.pausing import INPUT_CHANGED
from penstock_producer.batch.prefixes import Prefixes
from penstock_producer.batch.preparing import DUPLICATE, MODIFIED
from penstock_producer.batch.reading import Line, LineError, Routed
from penstock_shared import clock
from penstock_shared.errors import BatchBusy, BudgetExceeded, InvalidBatch
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

# Workers start on the first group while the others are read. Each is twice the one before, because
# a long commit keeps workers from claiming, and short ones take longer in all.
_FIRST_GROUP: Final = 64
_GROUP: Final = 1_000
_GROUP_CHARS: Final = 8 * 1024 * 1024
_PAUSE_S: Final = 1.0  # between looks at a budget without room, or at another loader
_CANCELLED: Final = LineError("batch_cancelled", "the batch was cancelled before this line began")
_TWICE: Final = LineError(DUPLICATE, "an earlier line has this custom_id", "custom_id")


class _Group(NamedTuple):
    lines: int
    drafts: list[Draft]
    refusals: list[Refusal]
    documents: list[Document]


class Loader:
    """Brings the lines that are not in the ledger there, from where another command stopped.

    A pause holds nothing up, since loading costs nothing; of a cancelled batch the rest is written
    down as refused, so that every line is accounted for. Where another command loads the same
    batch, this one waits, and goes on when that one has stopped.
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

    def run(self, *, waits: bool = True) -> bool:
        """Load until all lines are there; False when ``stop`` was set or a budget has no room.

        Then the batch is paused; with ``waits`` only when no line of its own is open that may
        give some back. Raises InvalidBatch (input_modified; the batch is paused), and
        LedgerUnavailable on stop.
        """
        while self.loaded < self._batch.total:
            try:
                if not self._load_rest(waits=waits):
                    return False
            except BatchBusy:
                if not self._follow_other():
                    return False
        if self._record().state is BatchState.CANCELLED:
            # Lines may have entered just behind the cancellation.
            self._patiently_cancel()
        return True

    def _load_rest(self, *, waits: bool) -> bool:
        last = patiently(lambda: lines.last_number(self._database, self._batch.id), self._stop)
        for group in self._groups(self._source.lines(last + 1)):
            if not self._put(group, waits=waits):
                return False
        if self.loaded != self._batch.total:
            raise self._modified()
        return True

    def _follow_other(self) -> bool:
        """Wait until another command has loaded all, or nothing for a while; False on stop."""
        before = -1
        while self.loaded not in (before, self._batch.total):
            if self._stop.wait(_PAUSE_S):
                return False
            before, self.loaded = self.loaded, self._record().loaded
        return True

    def _groups(self, source: Iterable[Line]) -> Iterator[list[Line]]:
        some: list[Line] = []
        chars, size = 0, _FIRST_GROUP
        for line in source:
            some.append(line)
            chars += sum(len(m.content) for m in line.request.messages) if line.request else 0
            if len(some) >= size or chars >= _GROUP_CHARS:
                yield some
                some, chars, size = [], 0, min(2 * size, _GROUP)
        if some:
            yield some

    def _put(self, source: list[Line], *, waits: bool) -> bool:
        """Load some lines; False when the loader is to stop."""
        if self.loaded + len(source) > self._batch.total or not self._source.stamp.may_hold():
            raise self._modified()
        waiting = [source]
        while waiting:
            if self._stop.is_set():
                return False
            some = waiting.pop(0)
            is_cancelled = self._record().state is BatchState.CANCELLED
            try:
                self._load(self._group(some, is_cancelled=is_cancelled))
            except BudgetExceeded as error:
                if len(some) > 1:
                    half = len(some) // 2
                    waiting = [some[:half], some[half:], *waiting]
                elif self._waits_for_room(error, waits=waits):
                    waiting = [some, *waiting]
                else:
                    return False
        return True

    def _waits_for_room(self, error: BudgetExceeded, *, waits: bool) -> bool:
        """Wait a moment where lines of the batch may give some back, else pause it."""
        counts = patiently(lambda: lines.count(self._database, self._batch.id), self._stop)
        is_running = self._record().state is BatchState.RUNNING
        if waits and is_running and (counts.queued or counts.running):
            return not self._stop.wait(_PAUSE_S)
        self._pause(error.message)
        return False

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

    def _record(self) -> BatchRecord:
        return patiently(lambda: records.get(self._database, self._batch.id), self._stop)

    def _pause(self, reason: str) -> None:
        patiently(lambda: records.pause(self._database, self._batch.id, reason), self._stop)

    def _patiently_cancel(self) -> None:
        patiently(
            lambda: records.cancel(self._database, self._batch.id, clock.now_ms()), self._stop
        )

    def _modified(self) -> InvalidBatch:
        """The lines in the ledger are of the input that was checked; the others are gone."""
        self._pause(INPUT_CHANGED)
        return InvalidBatch(
            f"{MODIFIED}: {self._source.label} has changed since it was checked; batch "
            f"{self._batch.id} is paused: put the input back and run the same command, or cancel "
            "it and run the new input with another output",
            reason=MODIFIED,
        )
