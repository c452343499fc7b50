"""Loading: a worker that is not ready yet has books too. Its time is idle, and paid."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from penstock_shared.errors import PenstockError, Unavailable
from penstock_shared.ledger import worker_time
from penstock_shared.ledger.database import Database
from penstock_workers.engine.process import EngineProcess

log = logging.getLogger(__name__)


class Loading:
    """Keeps the books while its block runs, as the heartbeat does later.

    An error in the block is the end of this worker: the engine is stopped and the books are closed.
    """

    def __init__(
        self,
        worker_id: str,
        *,
        database: Database,
        engine: EngineProcess,
        every_s: float,
        now_ms: Callable[[], int],
    ) -> None:
        self._worker_id = worker_id
        self._database = database
        self._engine = engine
        self._every_s = every_s
        self._now_ms = now_ms

    def __enter__(self) -> Self:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if error is None:
            return
        self._engine.close()
        try:
            spent, now_ms = self._engine.pulse().spent, self._now_ms()
            worker_time.close_books(self._database, self._worker_id, spent, now_ms, died=False)
        except PenstockError as failure:
            log.warning("the last words are left to a sweep: %s", failure)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                spent, now_ms = self._engine.pulse().spent, self._now_ms()
                worker_time.keep_books(self._database, self._worker_id, spent, now_ms)
            except Unavailable as error:
                log.warning("loading without the ledger: %s", error)
            except Exception:
                log.exception("the books of a worker that loads cannot be kept")
