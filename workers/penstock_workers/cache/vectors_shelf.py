"""What a partition's vectors are kept in, exact or approximate."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Neighbour(NamedTuple):
    """A cache entry near a question."""

    entry_id: int
    similarity: float  # cosine


class Shelf(Protocol):
    """The vectors of one partition, all of length 1."""

    def __len__(self) -> int: ...

    def add(self, entry_id: int, vector: NDArray[np.float32]) -> None:
        """Take in an entry that is not held; its vector has shape (dimension,)."""

    def discard(self, entry_id: int) -> None:
        """Give up an entry that is held, and free its place."""

    def nearest(
        self, vectors: NDArray[np.float32], *, threshold: float, most: int
    ) -> list[list[Neighbour]]:
        """For each row of ``vectors`` (n, dimension): at most ``most``, the nearest first."""


def ranked(
    entry_ids: NDArray[np.int64], similarities: NDArray[np.float32], most: int
) -> list[Neighbour]:
    """The ``most`` nearest of those given, the nearest first; of equals, the oldest entry."""
    if len(similarities) > most:
        best = np.argpartition(-similarities, most - 1)[:most]
        entry_ids, similarities = entry_ids[best], similarities[best]
    order = np.lexsort((entry_ids, -similarities))
    return [Neighbour(int(entry_ids[i]), float(similarities[i])) for i in order]
