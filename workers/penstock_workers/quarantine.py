"""Quarantine: jobs that were lost together with others, one of which may have killed them.

Each time that a job is lost with others, fewer suspects run beside it: an eighth of what the
engine holds, then an eighth of that, and in the end it runs alone. A suspect that is innocent
succeeds in its first round, and the engine stays as full as it was. One that is guilty is found
after a few more deaths, however large the engine is.

To run alone, a job needs a worker that holds nothing else: neither in its engine, nor with its
encoder, nor on the way there or back. One that was just started holds nothing; a busy one is
emptied only when somebody has waited for it, and then for all who wait.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from penstock_workers.held import Held

_FEWER_BITS: Final = 3
_WAIT_S: Final = 3.0


class Suspect(NamedTuple):
    """A job, and how often it was lost together with others."""

    suspicion: int
    job_id: str


class Quarantine:
    """Suspects that wait for their turn. Belongs to one thread."""

    def __init__(
        self,
        held: Held,
        capacity: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._held = held
        self._capacity = capacity
        self._clock = clock
        self._waiting_since = 0.0
        self._waiting: list[Suspect] = []
        self._inside: list[Suspect] = []

    def __len__(self) -> int:
        self._forget_ended()
        return len(self._waiting) + len(self._inside)

    def add(self, suspects: Iterable[Suspect]) -> None:
        """Let suspects wait, the most suspected first."""
        if not self._waiting:
            self._waiting_since = self._clock()
        waiting = {*self._waiting, *suspects}
        self._waiting = sorted(waiting, key=lambda s: (-s.suspicion, s.job_id))

    @property
    def is_running_alone(self) -> bool:
        """True while a suspect is inside that nobody may join."""
        self._forget_ended()
        return any(self._companions(suspect) == 1 for suspect in self._inside)

    @property
    def wants_silence(self) -> bool:
        """True when nobody else may board: a suspect runs alone, or has waited for it."""
        if self.is_running_alone:
            return True
        has_waited = self._clock() - self._waiting_since >= _WAIT_S
        return has_waited and bool(self._waiting) and self._companions(self._waiting[0]) == 1

    def take(self) -> str | None:
        """The next suspect that may board now."""
        self._forget_ended()
        for place, suspect in enumerate(self._waiting):
            companions = self._companions(suspect)
            others = self._held if companions == 1 else self._inside
            if len(others) < companions and (companions == 1 or not self.wants_silence):
                self._inside.append(self._waiting.pop(place))
                return suspect.job_id
        return None

    def give_up(self) -> list[str]:
        """All that wait, to be sent back."""
        waiting, self._waiting = self._waiting, []
        return [suspect.job_id for suspect in waiting]

    def _companions(self, suspect: Suspect) -> int:
        """How many suspects may be inside with this one, itself included."""
        return max(1, self._capacity() >> (_FEWER_BITS * suspect.suspicion))

    def _forget_ended(self) -> None:
        self._inside = [suspect for suspect in self._inside if suspect.job_id in self._held]
