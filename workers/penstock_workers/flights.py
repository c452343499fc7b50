"""Flights: what is in the engine, and which jobs wait for each of its completions."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

from penstock_shared.ledger.claiming import Claim, Fenced
from penstock_shared.words import JobState
from penstock_workers.cache.cache import Lookup


class Passenger(NamedTuple):
    """One job that waits for a completion; ``verdict`` is set when it no longer wants it."""

    lookup: Lookup
    prompt_tokens: int
    verdict: JobState | None = None
    reason: str | None = None


class Flights:
    """Identical repeatable prompts share one flight; its first passenger pays for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, list[Passenger]] = {}
        self._by_key: dict[str, str] = {}
        self._flight_of: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def awaited(self) -> int:
        """How many are for somebody who waits, and not for lines of batches."""
        with self._lock:
            return sum(not _is_a_line(group[0].lookup) for group in self._flights.values())

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._flight_of

    def join(self, lookup: Lookup) -> bool:
        """Join a flight with the same key; False when there is none.

        Who waits for an answer joins no line of a batch: the engine does not hurry with those.
        A job that is in flight already, because its claim was lost and it came back here, stays
        there under its new claim; nothing that was decided for the old one holds for it.
        """
        job_id = lookup.claim.job_id
        with self._lock:
            flight_id = self._own(job_id) or self._shared(lookup)
            if flight_id is None:
                return False
            passengers = self._flights[flight_id]
            passenger = Passenger(lookup, passengers[0].prompt_tokens)
            if self._flight_of.get(job_id) == flight_id:
                passengers[_place_of(job_id, passengers)] = passenger
            else:
                passengers.append(passenger)
                self._flight_of[job_id] = flight_id
            return True

    def start(self, lookup: Lookup, prompt_tokens: int) -> None:
        """Open a flight for a job; its id is the job's."""
        job_id = lookup.claim.job_id
        with self._lock:
            self._flights[job_id] = [Passenger(lookup, prompt_tokens)]
            self._flight_of[job_id] = job_id
            if _is_shareable(lookup):
                self._by_key[lookup.key.key] = job_id

    def land(self, flight_id: str) -> list[Passenger]:
        """End a flight; returns its passengers, the one who pays first."""
        with self._lock:
            passengers = self._flights.pop(flight_id, [])
            for passenger in passengers:
                self._flight_of.pop(passenger.lookup.claim.job_id, None)
                self._close(passenger.lookup.key.key, flight_id)
            return passengers

    def leave(
        self, claim: Fenced, verdict: JobState, reason: str
    ) -> tuple[str | None, Passenger | None]:
        """Take one claim off its flight; a later claim of the same job stays.

        Returns the flight to abort when nobody else is on it (the job then lands with it), or
        the passenger who left while others fly on.
        """
        with self._lock:
            flight_id = self._flight_of.get(claim.job_id)
            if flight_id is None:
                return None, None
            passengers = self._flights[flight_id]
            place = _place_of(claim.job_id, passengers)
            if passengers[place].lookup.claim.fence != claim.fence:
                return None, None
            leaving = passengers[place]._replace(verdict=verdict, reason=reason)
            if len(passengers) == 1:
                passengers[place] = leaving
                self._close(leaving.lookup.key.key, flight_id)
                return flight_id, None
            del passengers[place]
            del self._flight_of[claim.job_id]
            return None, leaving

    def claims(self) -> list[Claim]:
        """All claims that are in the engine."""
        with self._lock:
            return [p.lookup.claim for group in self._flights.values() for p in group]

    def ids(self) -> Sequence[str]:
        """All flights."""
        with self._lock:
            return list(self._flights)

    def _own(self, job_id: str) -> str | None:
        """The flight that the job is on, or that has its name since the job left it to others."""
        return self._flight_of.get(job_id) or (job_id if job_id in self._flights else None)

    def _shared(self, lookup: Lookup) -> str | None:
        """The flight with the same key, if the job may share it."""
        flight_id = self._by_key.get(lookup.key.key)
        if flight_id is None or not _is_shareable(lookup):
            return None
        if _is_a_line(self._flights[flight_id][0].lookup) and not _is_a_line(lookup):
            return None
        return flight_id

    def _close(self, key: str, flight_id: str) -> None:
        """Let nobody join a flight any more; a newer one with the same key stays open."""
        if self._by_key.get(key) == flight_id:
            del self._by_key[key]


def _place_of(job_id: str, passengers: Sequence[Passenger]) -> int:
    return next(n for n, p in enumerate(passengers) if p.lookup.claim.job_id == job_id)


def _is_a_line(lookup: Lookup) -> bool:
    return lookup.claim.batch_id is not None


def _is_shareable(lookup: Lookup) -> bool:
    request = lookup.claim.request
    return request.cache and request.sampling.is_repeatable
