"""Watching a batch: lines are written as they end, until there is nothing to wait for."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.following import Follower
from penstock_producer.batch.outputs import Outputs
from penstock_producer.batch.pausing import INPUT_CHANGED, is_at_rest
from penstock_producer.batch.threads import Background
from penstock_shared import clock, money
from penstock_shared.errors import LedgerUnavailable
from penstock_shared.ledger.batches import lines, records
from penstock_shared.ledger.batches.lines import Counts
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.words import BatchState, JobState

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 0.25
_PROGRESS_S: Final = 0.25
_COUNT_S: Final = 1.0
_COUNT_SHARE: Final = 20  # counting may take one part in so many of the time
_INTERRUPTED: Final = "it was interrupted; the same command goes on where it was"
_CANCELLED: Final = "it was cancelled"


class Progress(NamedTuple):
    """How a batch stands. ``failed`` are all that ended without an answer.

    ``seconds``, ``settled_here`` and ``tokens_here`` are of this command: how long it has watched,
    how many lines ended meanwhile, and the tokens of their answers.
    """

    total: int
    loaded: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cached: int
    cost_usd: Decimal
    seconds: float
    settled_here: int
    tokens_here: int
    state: BatchState
    stopped_by: str | None


OnProgress = Callable[[Progress], None]


class Watch:
    """Writes what ends. ``record`` and ``counts`` are as of the last look at the ledger."""

    def __init__(
        self,
        database: Database,
        record: BatchRecord,
        outputs: Outputs,
        loading: Background,
        on_progress: OnProgress,
        stop: threading.Event,
    ) -> None:
        self._database = database
        self._outputs = outputs
        self._loading = loading
        self._on_progress = on_progress
        self._stop = stop
        self._follower = Follower(database, record.id, outputs.known)
        self._began = time.monotonic()
        self._began_ms = clock.now_ms()
        self._settled_here = self._tokens_here = 0
        self._told_at = self._count_at = 0.0
        self.record = record
        self.counts = Counts()

    @property
    def seconds(self) -> float:
        """How long this command has watched."""
        return time.monotonic() - self._began

    def run(self) -> str | None:
        """Watch until every line has ended; else returns why it stopped before.

        Raises what loading raises.
        """
        pause_s = _SHORTEST_PAUSE_S
        while True:
            is_stopped = self._stop.is_set()
            try:
                moved = self._write(self._follower.poll())
                self._look()
                is_over = self._is_over()
            except LedgerUnavailable as error:
                if is_stopped:
                    return _INTERRUPTED
                log.warning("%s; the batch waits for it", error.message)
                moved, is_over = False, False
            self._loading.raise_error()
            self._tell(at_once=is_over or is_stopped)
            if is_over:
                return self._why()
            if is_stopped:
                return _INTERRUPTED
            pause_s = _SHORTEST_PAUSE_S if moved else min(_LONGEST_PAUSE_S, 1.5 * pause_s)
            self._stop.wait(pause_s)

    def _write(self, pages: Iterable[Sequence[EndedLine]]) -> bool:
        """Write pages of lines; True when there were any."""
        moved = False
        for ended in pages:
            moved = moved or bool(ended)
            self._outputs.write(ended)
            self._count(ended)
            self._tell()
        return moved

    def _count(self, ended: Iterable[EndedLine]) -> None:
        """Count what ended while we watched; the others' tokens say nothing about the speed."""
        for each in ended:
            if each.finished_ms >= self._began_ms:
                self._settled_here += 1
                self._tokens_here += (each.result and each.result.completion_tokens) or 0

    def _look(self, *, at_once: bool = False) -> None:
        self.record = records.get(self._database, self.record.id)
        now = time.monotonic()
        if at_once or now >= self._count_at:
            self.counts = lines.count(self._database, self.record.id)
            took_s = time.monotonic() - now
            self._count_at = now + max(_COUNT_S, _COUNT_SHARE * took_s)

    def _is_over(self) -> bool:
        """Whether there is nothing to wait for, and everything is written."""
        is_paused = self.record.state is BatchState.PAUSED
        if self._loading.is_running and self.record.stopped_by == INPUT_CHANGED:
            return False  # the loader is about to raise why
        if is_paused or self._loading.is_running or len(self._outputs.known) < self.record.total:
            return self._is_at_rest()
        return self._is_complete()

    def _is_at_rest(self) -> bool:
        """Whether a paused batch has no running lines; then all that ended is written.

        Of one that is not paused all lines may have ended unseen; then they are written, too.
        """
        if not self._rests():
            return False
        self._look(at_once=True)
        if not self._rests():
            return False
        self._outputs.drop_retried(self._states)
        self._write(self._follower.everything())
        return self.record.state is BatchState.PAUSED

    def _rests(self) -> bool:
        return is_at_rest(self.record, self.counts, is_loading=self._loading.is_running)

    def _is_complete(self) -> bool:
        """Every line is written; some may have been retried since they were."""
        if self._outputs.drop_retried(self._states):
            self._write(self._follower.everything())
            return False
        records.complete(self._database, clock.now_ms(), self.record.id)
        self._look(at_once=True)
        return self._all_ended()

    def _all_ended(self) -> bool:
        return self.counts.ended >= self.record.total

    def _states(self, numbers: Sequence[int]) -> dict[int, JobState]:
        return lines.states(self._database, self.record.id, numbers)

    def _why(self) -> str | None:
        if self.record.state is BatchState.CANCELLED:
            return _CANCELLED
        if self.record.state is BatchState.PAUSED:
            return self.record.stopped_by or "it was paused"
        return None

    def _tell(self, *, at_once: bool = False) -> None:
        if at_once or time.monotonic() - self._told_at >= _PROGRESS_S:
            self._told_at = time.monotonic()
            self._on_progress(self._progress())

    def _progress(self) -> Progress:
        record, counts, outputs = self.record, self.counts, self._outputs
        return Progress(
            total=record.total,
            loaded=record.loaded,
            queued=counts.queued,
            running=counts.running,
            succeeded=counts.succeeded,
            failed=counts.without_answer,
            cached=outputs.cached,
            cost_usd=money.to_usd(record.spent_pusd),
            seconds=self.seconds,
            settled_here=self._settled_here,
            tokens_here=self._tokens_here,
            state=record.state,
            stopped_by=record.stopped_by,
        )
