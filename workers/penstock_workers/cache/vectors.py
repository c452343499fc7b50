"""Exact nearest neighbours: one matrix product for a whole admission batch."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_FIRST_ROWS: Final = 1024


class Neighbour(NamedTuple):
    """A cache entry near a question."""

    entry_id: int
    similarity: float  # cosine


class VectorIndex:
    """Vectors of length 1 with their entry and partition, in preallocated memory.

    When ``capacity`` is reached, a new vector takes the place of the oldest. Belongs to one
    thread.
    """

    def __init__(self, dimension: int, capacity: int) -> None:
        self._capacity = capacity
        rows = min(_FIRST_ROWS, capacity)
        self._vectors = np.zeros((rows, dimension), dtype=np.float32)
        self._entries = np.zeros(rows, dtype=np.int64)
        self._partitions = np.zeros(rows, dtype=np.int64)
        self._partition_numbers: dict[str, int] = {}
        self._known: set[int] = set()
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self._capacity)

    def __contains__(self, entry_id: int) -> bool:
        return entry_id in self._known

    def add(self, entry_id: int, partition: str, vector: NDArray[np.float32]) -> None:
        """Add one entry; its vector has shape (dimension,)."""
        place = self._added % self._capacity
        if place == len(self._vectors):
            self._grow()
        if self._added >= self._capacity:
            self._known.discard(int(self._entries[place]))
        number = self._partition_numbers.setdefault(partition, len(self._partition_numbers))
        self._vectors[place] = vector
        self._entries[place] = entry_id
        self._partitions[place] = number
        self._known.add(entry_id)
        self._added += 1

    def nearest(
        self,
        vectors: NDArray[np.float32],
        partitions: Sequence[str],
        *,
        threshold: float,
        most: int,
    ) -> list[list[Neighbour]]:
        """For each row of ``vectors`` (n, dimension): its neighbours in its own partition.

        At most ``most`` of them, the nearest first, none below ``threshold``.
        """
        count = len(self)
        if count == 0 or len(vectors) == 0:
            return [[] for _ in partitions]
        similarities = vectors @ self._vectors[:count].T
        numbers = np.array([self._partition_numbers.get(p, -1) for p in partitions])
        near = (similarities >= threshold) & (self._partitions[:count] == numbers[:, None])
        return [self._ranked(similarities[row], near[row], most) for row in range(len(vectors))]

    def _ranked(
        self, similarities: NDArray[np.float32], near: NDArray[np.bool_], most: int
    ) -> list[Neighbour]:
        places = np.flatnonzero(near)
        best = places[np.argsort(-similarities[places], kind="stable")[:most]]
        return [Neighbour(int(self._entries[i]), float(similarities[i])) for i in best]

    def _grow(self) -> None:
        rows = min(2 * len(self._vectors), self._capacity)
        for name in ("_vectors", "_entries", "_partitions"):
            old = getattr(self, name)
            new = np.zeros((rows, *old.shape[1:]), dtype=old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)
