"""Shadows: requests in the engine for which no caller waits; they test what the cache served.

A shadow is no job: it has no row, no lease, no deadline and no passengers. It boards only while an
eighth of the engine is free, leaves when a job needs its place, and is forgotten with the engine.
"""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from penstock_workers.cache.cache import Hit, Lookup
from penstock_workers.engine.protocol import Engine, EngineRequest
from penstock_workers.flights import Flights

_MOST_WAITING: Final = 64
_RESERVE: Final = 8  # one seat in so many stays free


class Doubt(NamedTuple):
    """A semantic hit that is put to the test."""

    lookup: Lookup
    hit: Hit
    served: bool


class Shadows:
    """Those that wait for room, and those in the engine. Any thread may call any method."""

    def __init__(self, flights: Flights, engine: Engine) -> None:
        self._flights = flights
        self._engine = engine
        self._lock = threading.Lock()
        self._waiting: deque[tuple[EngineRequest, Doubt]] = deque()
        self._inside: dict[str, Doubt] = {}
        self._aborted: set[str] = set()
        self._is_allowed = True
        self._is_closed = False

    @property
    def inside(self) -> int:
        """How many are in the engine, those included that were told to leave."""
        return len(self._inside)

    @property
    def flying(self) -> int:
        """How many are in the engine and were not told to leave."""
        return len(self._inside) - len(self._aborted)

    @property
    def wants_more(self) -> bool:
        """False when so many wait that another one would be in vain."""
        return not self._is_closed and len(self._waiting) < _MOST_WAITING

    def add(self, request: EngineRequest, doubt: Doubt) -> None:
        """Let one wait for room."""
        with self._lock:
            if self.wants_more:
                self._waiting.append((request, doubt))

    def board(self) -> None:
        """Let as many into the engine as there is room for."""
        with self._lock:
            if not self._waiting or not self._is_allowed:
                return
            seats = self._engine.limits.max_num_seqs
            free = seats - seats // _RESERVE - len(self._flights) - len(self._inside)
            boarding: list[EngineRequest] = []
            doubts: dict[str, Doubt] = {}
            while self._waiting and len(boarding) < free:
                request, doubt = self._waiting.popleft()
                if request.request_id not in self._inside | doubts:
                    boarding.append(request._replace(background=True))
                    doubts[request.request_id] = doubt
            self._engine.submit(boarding)
            self._inside.update(doubts)

    def make_room(self) -> None:
        """Let as many leave as take seats that jobs need; the last come leave first."""
        with self._lock:
            surplus = len(self._flights) + self.flying - self._engine.limits.max_num_seqs
            if surplus > 0:
                self._abort([i for i in self._inside if i not in self._aborted][-surplus:])

    def allow(self, *, allowed: bool) -> None:
        """Keep all out of the engine, or let them in again."""
        with self._lock:
            self._is_allowed = allowed and not self._is_closed
            if not allowed:
                self._abort([i for i in self._inside if i not in self._aborted])

    def close(self) -> None:
        """For good: nobody boards any more, and those inside leave."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
        self.allow(allowed=False)

    def forget(self) -> None:
        """The engine is gone, and all that were inside with it."""
        with self._lock:
            self._is_closed = True
            self._is_allowed = False
            self._waiting.clear()
            self._inside.clear()
            self._aborted.clear()

    def land(self, request_id: str) -> Doubt | None:
        """Take one off that the engine has ended; None: it is none of us."""
        with self._lock:
            self._aborted.discard(request_id)
            return self._inside.pop(request_id, None)

    def _abort(self, request_ids: Sequence[str]) -> None:
        self._aborted.update(request_ids)
        self._engine.abort(request_ids)
