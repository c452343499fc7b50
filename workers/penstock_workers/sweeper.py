"""The sweeper: one worker at a time publishes again what nobody works on."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from celery import Celery

from penstock_shared.broker import Publisher, oldest_waiting
from penstock_shared.errors import LedgerUnavailable, Unavailable
from penstock_shared.ledger import accepting, cache_entries, losing, sweeping, worker_time
from penstock_shared.ledger.batches import documents, records
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings

log = logging.getLogger(__name__)
_PAGE: Final = 1_000
_PAGES: Final = 20  # the rest is for the next sweep
_OLDEST: Final = 16
_GRACE_MS: Final = 2_000  # a client publishes its own jobs within this time
_TRIM_MS: Final = 60_000


class Sweeper:
    """A thread in every worker; the ledger decides which of them sweeps."""

    def __init__(
        self,
        worker_id: str,
        *,
        database: Database,
        app: Celery,
        settings: Settings,
        may_judge: Callable[[], bool],
        now_ms: Callable[[], int],
    ) -> None:
        self._worker_id = worker_id
        self._database = database
        self._app = app
        self._publisher = Publisher(app)
        self._settings = settings
        self._may_judge = may_judge
        self._now_ms = now_ms
        self._stopped = threading.Event()
        self._trimmed_ms = 0

    def run(self) -> None:
        """Sweep until stopped."""
        while not self._stopped.wait(self._settings.worker.sweep_s):
            try:
                self.sweep()
            except Unavailable as error:
                log.warning("no sweep: %s", error)
            except Exception:
                log.exception("a sweep failed")

    def stop(self) -> None:
        """Let ``run`` return."""
        self._stopped.set()

    def sweep(self) -> int:
        """One sweep; returns how many jobs were published.

        Every worker that may judge looks for lost ones, so that the loss of the one whose turn it
        is to sweep is seen as soon as any other. The rest is for that one.
        """
        now = self._now_ms()
        published = 0
        if self._may_judge():
            published = self._step("finding lost workers", lambda: self._requeue_lost(now))
        until = now + round(self._settings.worker.sweep_s * 3_000)
        if not sweeping.take_duty(self._database, self._worker_id, now_ms=now, until_ms=until):
            return published
        expired = self._step("expiring overdue jobs", lambda: self._expire(now))
        lost = self._step("finding what the broker lost", lambda: self._reopen_all(now))
        published += self._step("publishing", self._publish_outbox)
        self._step("making documents", lambda: self._promote(now))
        self._step("completing batches", lambda: len(records.complete(self._database, now)))
        if expired or lost or published:
            log.info(
                "swept: %d expired, %d lost by the broker, %d published", expired, lost, published
            )
        if now - self._trimmed_ms >= _TRIM_MS:
            self._trimmed_ms = now
            self._step("trimming the cache", lambda: self._trim_cache(now))
        return published

    def _step(self, name: str, step: Callable[[], int]) -> int:
        """One part of a sweep; what is wrong with it does not keep the others from their work."""
        try:
            return step()
        except LedgerUnavailable:
            raise  # all of them need it
        except Unavailable as error:
            log.warning("%s waits for the next sweep: %s", name, error)
        except Exception:
            log.exception("%s failed; the next sweep tries again", name)
        return 0

    def _expire(self, now: int) -> int:
        """End jobs whose deadline passed, page by page, so that others can write in between."""
        expired = 0
        while not self._stopped.is_set():
            some = sweeping.expire_overdue(self._database, now, limit=_PAGE)
            expired += some
            if some < _PAGE:
                break
        return expired

    def _promote(self, now: int) -> int:
        return documents.promote(self._database, self._settings, now)

    def _requeue_lost(self, now: int) -> int:
        """Take jobs from workers that let their leases run out, and publish them at once."""
        silent_since = now - round(self._settings.worker.lease_s * 1000)
        worker_time.close_silent(self._database, silent_since)
        back, dead = losing.requeue_lost(
            self._database, now_ms=now, max_attempts=self._settings.worker.max_attempts
        )
        if back or dead:
            log.warning("%d jobs lost their worker and go back, %d are dead", back, dead)
        return self._publish_outbox() if back else 0

    def _reopen_all(self, now: int) -> int:
        return sum(self._reopen_lost(tier, now) for tier in self._settings.tiers)

    def _reopen_lost(self, tier: str, now: int) -> int:
        """Find jobs that are neither in the broker's queue nor claimed, in O(1) of the queue.

        The queue is first in, first out: what was published well before the oldest message that
        still waits has left it, and whoever took it has had the time of a lease to claim it.
        """
        oldest = oldest_waiting(self._app, tier, _OLDEST)
        moments = sweeping.published_at(self._database, oldest) if oldest else [now]
        if not moments:
            return 0
        before = min(moments) - round(self._settings.worker.lease_s * 1000)
        return sweeping.reopen_lost(
            self._database, tier, published_before_ms=before, limit=_PAGE * _PAGES
        )

    def _trim_cache(self, now: int) -> int:
        """Delete cached answers that have expired, and what a tier has beyond its capacity."""
        trimmed = 0
        for tier in self._settings.tiers:
            for _ in range(_PAGES):
                gone = cache_entries.trim(
                    self._database,
                    tier=tier,
                    capacity=self._settings.cache.capacity,
                    now_ms=now,
                    limit=_PAGE,
                )
                trimmed += gone
                if gone < _PAGE or self._stopped.is_set():
                    break
        return trimmed

    def _publish_outbox(self) -> int:
        published = 0
        for _ in range(_PAGES):
            now = self._now_ms()
            wakeups = sweeping.outbox(
                self._database, now_ms=now, older_than_ms=_GRACE_MS, limit=_PAGE
            )
            if not wakeups:
                break
            self._publisher.publish(wakeups)
            accepting.mark_published(self._database, [w.job_id for w in wakeups], now)
            published += len(wakeups)
        return published
