"""Backlog: a worker takes lines of batches when its engine has room for them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from penstock_shared.ledger import claiming
from penstock_shared.ledger.batches import backlog
from penstock_shared.ledger.claiming import Claimed
from penstock_shared.ledger.database import Database
from penstock_workers.engine.protocol import Engine
from penstock_workers.flights import Flights
from penstock_workers.held import Held
from penstock_workers.pace import Pace
from penstock_workers.patience import Patience

_SOON_S: Final = 0.01  # when lines wait, or may: those whose turn depends on others
_LATER_S: Final = 0.25  # when there were none
_HELD_PER_SEAT: Final = 4  # jobs that are in the engine, beside it, or on their way into the ledger


class Backlog:
    """Keeps a full engine and as many lines in reserve, so that it never waits for a claim.

    The engine lets those pass by for whom somebody waits. ``at_once`` lines are claimed together:
    for many a claim costs the ledger about the same as for one, but who comes by message waits
    until they are looked up in the cache.
    """

    def __init__(
        self,
        *,
        database: Database,
        tier: str,
        worker_id: str,
        lease_ms: int,
        at_once: int,
        flights: Flights,
        held: Held,
        engine: Engine,
        patience: Patience,
        now_ms: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._tier = tier
        self._worker_id = worker_id
        self._lease_ms = lease_ms
        self._at_once = at_once
        self._flights = flights
        self._held = held
        self._engine = engine
        self._patience = patience
        self._now_ms = now_ms
        self._clock = clock
        self._look_at = 0.0
        self._pace = Pace()

    @property
    def wait_s(self) -> float:
        """How long to wait for something else before ``take`` may have lines."""
        return max(0.0, self._look_at - self._clock())

    def take(self) -> Claimed:
        """Claim the next lines if there is room for some, and it is time to look for them."""
        if self.wait_s > 0:
            return Claimed([], [])
        if self._room() < self._at_once:
            self._look_at = self._clock() + _SOON_S
            return Claimed([], [])
        claimed = self._patience.call(
            lambda: backlog.claim(
                self._database,
                self._tier,
                worker_id=self._worker_id,
                lease_ms=self._lease_ms,
                now_ms=self._now_ms(),
                limit=self._at_once,
            ),
            before_again=lambda: claiming.release_strays(
                self._database, self._worker_id, self._held.claims(), self._now_ms()
            ),
        )
        claims, unreadable = claimed
        self._pace.begun(len(claims), self._clock(), inside=self._ahead())
        if len(claims) + len(unreadable) < self._at_once:
            self._look_at = self._clock() + (_SOON_S if len(self._held) or claims else _LATER_S)
        self._held.add(claims)
        return claimed

    @contextmanager
    def search(self, lines: int) -> Iterator[bool]:
        """Whether lines may be looked up by meaning; the time of the block is what that takes.

        They may while the engine has enough to do meanwhile: an engine that waits for a search
        could have answered.
        """
        start = self._clock()
        allowed = self._pace.allows(lines, start, ahead=self._ahead())
        yield allowed
        if allowed and lines:
            self._pace.searched(lines, self._clock() - start, self._clock())

    def _ahead(self) -> int:
        """How many flights wait for a seat; below 0: so many seats are free."""
        return len(self._flights) - self._engine.limits.max_num_seqs

    def _room(self) -> int:
        """Seats in the engine and in the reserve; fewer when much is answered without an engine."""
        seats = 2 * self._engine.limits.max_num_seqs + self._at_once
        return min(seats - len(self._flights), _HELD_PER_SEAT * seats - len(self._held))
