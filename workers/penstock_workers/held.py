"""Held: the claims of this worker, from the moment of claiming until they are settled."""

import threading
from collections.abc import Iterable

from penstock_shared.ledger.claiming import Claim, Fenced


class Held:
    """Whose leases the heartbeat renews: what waits for the engine, is in it, or has left it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[str, Claim] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._claims

    def add(self, claims: Iterable[Claim]) -> None:
        """Begin to hold claims."""
        with self._lock:
            self._claims.update((claim.job_id, claim) for claim in claims)

    def drop(self, claims: Iterable[Fenced]) -> None:
        """Hold them no more; a newer claim of the same job is held on."""
        with self._lock:
            for claim in claims:
                held = self._claims.get(claim.job_id)
                if held is not None and held.fence == claim.fence:
                    del self._claims[claim.job_id]

    def claims(self) -> list[Claim]:
        """All that is held now."""
        with self._lock:
            return list(self._claims.values())
