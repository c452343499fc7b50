"""A batch from its input to its outputs: lines are loaded while others end and are written."""

import threading
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from penstock_producer.batch import beginning
from penstock_producer.batch.collecting import write_joined
from penstock_producer.batch.input_rows import InputRows
from penstock_producer.batch.inputs import Input
from penstock_producer.batch.line_set import LineSet
from penstock_producer.batch.loading import Loader
from penstock_producer.batch.locking import OutputLock
from penstock_producer.batch.options import RunOptions
from penstock_producer.batch.outages import patiently
from penstock_producer.batch.output_places import Places
from penstock_producer.batch.outputs import Outputs
from penstock_producer.batch.preparing import Preparation
from penstock_producer.batch.shape import Shape, shape_of
from penstock_producer.batch.threads import Background
from penstock_producer.batch.watching import OnProgress, Progress, Watch
from penstock_producer.batch.writing import needs_rows, outputs_of
from penstock_shared import money
from penstock_shared.errors import InvalidBatch, LedgerUnavailable
from penstock_shared.ledger.batches import lines, records
from penstock_shared.ledger.batches.lines import Counts
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings

__all__ = ["BatchRun", "Progress", "RunOptions", "Summary"]

_PAUSE_S: Final = 1.0


class Summary(NamedTuple):
    """How a command left its batch. ``tokens`` are those of prompts and answers together.

    ``stopped_by`` says why lines are open, or were cancelled.
    """

    record: BatchRecord
    counts: Counts
    cached: int
    tokens: int
    cost_usd: Decimal
    out_lines: int
    error_lines: int
    seconds: float
    all_failed: bool
    stopped_by: str | None


class BatchRun:
    """One command's work on one batch: ``start``, then ``run`` or ``load``, once."""

    def __init__(
        self, settings: Settings, database: Database, source: Input, options: RunOptions
    ) -> None:
        self._settings = settings
        self._database = database
        self._source = source
        self._options = options
        self._held = ExitStack()
        self._record: BatchRecord | None = None
        self._duplicates = LineSet()

    @property
    def writes(self) -> bool:
        """Whether lines are written as they end."""
        return self._options.out is not None

    def start(self, preparation: Preparation) -> BatchRecord:
        """Find the batch that this command made before, or make one.

        Raises InvalidBatch, BatchBusy when another command writes to OUT or ERR, and
        LedgerUnavailable; then nothing was accepted.
        """
        beginning.check(preparation, self._options)
        with ExitStack() as stack:
            for file in self._files():
                stack.enter_context(OutputLock(file))
            self._record = beginning.find_or_make(
                self._database, self._source, preparation, self._options
            )
            self._held = stack.pop_all()
        self._duplicates = preparation.duplicates
        return self._record

    def run(
        self, on_progress: OnProgress | None = None, stop: threading.Event | None = None
    ) -> Summary:
        """Load the lines and write them as they end.

        Returns when all have ended, when the batch was cancelled, or paused and nothing runs any
        more, or when ``stop`` is set. An outage of the ledger is waited out. Raises InvalidBatch
        for a file that is not of this batch, and Unavailable when the disk is full.
        """
        stop = stop or threading.Event()
        record = self._started()
        shape = Shape.of(record)
        with ExitStack() as stack:
            stack.callback(self.close)
            rows = self._rows(shape, stack)
            outputs = outputs_of(shape, record.id, self._options, rows)
            stack.callback(outputs.close)
            patiently(
                lambda: outputs.restore(lambda n: lines.states(self._database, record.id, n)), stop
            )
            loading = self._loading(record, stack)
            watch = Watch(
                self._database,
                record,
                outputs,
                loading,
                on_progress or (lambda _: None),
                stop,
            )
            stopped_by = watch.run()
            outputs.close()
            if shape.format == "parquet" and self._options.out is not None:
                out, errors = self._options.out, self._options.errors
                write_joined(self._database, record, out, errors, self._source)
        return _summary(watch, outputs, stopped_by)

    def load(self, stop: threading.Event | None = None, *, waits: bool = True) -> BatchRecord:
        """Load the lines without waiting for any; returns the batch as it is then.

        Without ``waits`` it is paused at once where a budget has no room; see Loader.
        """
        record = self._started()
        stop = stop or threading.Event()
        try:
            self._loader(record, stop).run(waits=waits)
            return records.get(self._database, record.id)
        finally:
            self.close()

    def close(self) -> None:
        """Let others write to OUT and ERR."""
        self._held.close()

    def _files(self) -> list[Path]:
        out, errors = self._options.out, self._options.errors
        if out is None:
            return []
        return Places.of(shape_of(self._source, out, errors), out, errors).files

    def _started(self) -> BatchRecord:
        if self._record is None:
            raise InvalidBatch("the batch was not started")
        return self._record

    def _loader(self, record: BatchRecord, stop: threading.Event) -> Loader:
        return Loader(self._settings, self._database, self._source, record, self._duplicates, stop)

    def _loading(self, record: BatchRecord, stack: ExitStack) -> Background:
        """The loader in its thread; it stops with this command, for whatever reason that ends."""
        own_stop = threading.Event()
        loader = self._loader(record, own_stop)

        def load() -> None:
            try:
                while not loader.run() and not own_stop.wait(_PAUSE_S):
                    pass  # it was paused, and may be resumed while we watch
            except LedgerUnavailable:
                if not own_stop.is_set():
                    raise

        loading = Background(load, "penstock-loading")
        stack.callback(loading.join)
        stack.callback(own_stop.set)
        loading.start()
        return loading

    def _rows(self, shape: Shape, stack: ExitStack) -> InputRows | None:
        if not needs_rows(shape, self._options):
            return None
        rows = InputRows(self._source.rows(), self._settings.home)
        filling = Background(rows.fill, "penstock-rows")
        stack.callback(rows.close)
        stack.callback(filling.join)
        stack.callback(rows.stop)
        filling.start()
        return rows


def _summary(watch: Watch, outputs: Outputs, stopped_by: str | None) -> Summary:
    record, counts = watch.record, watch.counts
    return Summary(
        record=record,
        counts=counts,
        cached=outputs.cached,
        tokens=outputs.prompt_tokens + outputs.completion_tokens,
        cost_usd=money.to_usd(record.spent_pusd),
        out_lines=outputs.out_lines,
        error_lines=outputs.error_lines,
        seconds=watch.seconds,
        all_failed=not counts.succeeded and counts.ended >= record.total,
        stopped_by=stopped_by,
    )
