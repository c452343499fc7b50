"""Exact nearest neighbours: one matrix product for all questions of a batch to a partition."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from penstock_workers.cache.vectors_shelf import Neighbour, ranked

_QUESTIONS: Final = 16  # of one product; bounds the memory that products take
_SHRINK: Final = 4  # rows for each entry, from which on half of the rows are given back


class Scratch:
    """Memory for products, shared by shelves that are searched one after another."""

    def __init__(self) -> None:
        self._values = np.empty(0, dtype=np.float32)

    def matrix(self, rows: int, columns: int) -> NDArray[np.float32]:
        """Shape (rows, columns), with whatever was in it; overwritten by the next call."""
        size = rows * columns
        if size > len(self._values):
            self._values = np.empty(max(size, 2 * len(self._values)), dtype=np.float32)
        return self._values[:size].reshape(rows, columns)


class ExactShelf:
    """The first rows of a matrix that doubles when it is full and halves when it is empty.

    Without gaps: the last row moves to the place of one that is discarded.
    """

    def __init__(self, dimension: int, capacity: int, scratch: Scratch) -> None:
        self._capacity = capacity
        self._scratch = scratch
        self._vectors = np.empty((1, dimension), dtype=np.float32)
        self._ids = np.empty(1, dtype=np.int64)
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The entries, shape (len,); a view."""
        return self._ids[: len(self)]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Their vectors, shape (len, dimension); a view."""
        return self._vectors[: len(self)]

    def add(self, entry_id: int, vector: NDArray[np.float32]) -> None:
        """Take in an entry that is not held; its vector has shape (dimension,)."""
        place = len(self)
        if place == len(self._ids):
            self._resize(min(2 * place, self._capacity))
        self._vectors[place] = vector
        self._ids[place] = entry_id
        self._places[entry_id] = place

    def discard(self, entry_id: int) -> None:
        """Give up an entry that is held."""
        last = len(self) - 1
        place = self._places.pop(entry_id)
        if place != last:
            self._vectors[place] = self._vectors[last]
            self._ids[place] = self._ids[last]
            self._places[int(self._ids[place])] = place
        if last and len(self._ids) >= _SHRINK * last:
            self._resize(len(self._ids) // 2)

    def nearest(
        self, vectors: NDArray[np.float32], *, threshold: float, most: int
    ) -> list[list[Neighbour]]:
        """For each row of ``vectors`` (n, dimension): at most ``most``, the nearest first."""
        found: list[list[Neighbour]] = []
        for start in range(0, len(vectors), _QUESTIONS):
            asked = vectors[start : start + _QUESTIONS]
            products = self._scratch.matrix(len(asked), len(self))
            np.matmul(asked, self.vectors.T, out=products)
            for similarities in products:
                near = np.flatnonzero(similarities >= threshold)
                found.append(ranked(self._ids[near], similarities[near], most))
        return found

    def _resize(self, rows: int) -> None:
        """Keep what is held in ``rows`` rows; only rows in use are copied."""
        used = len(self)
        vectors = np.empty((rows, self._vectors.shape[1]), dtype=np.float32)
        ids = np.empty(rows, dtype=np.int64)
        vectors[:used], ids[:used] = self._vectors[:used], self._ids[:used]
        self._vectors, self._ids = vectors, ids
