"""The vectors of a cache: which entries are near a question, in its own partition only."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from penstock_workers.cache.vectors_cells import CellShelf, load_faiss
from penstock_workers.cache.vectors_exact import ExactShelf, Scratch
from penstock_workers.cache.vectors_shelf import Neighbour, Shelf

__all__ = ["IndexKind", "Neighbour", "VectorIndex"]

IndexKind = Literal["exact", "faiss"]


class VectorIndex:
    """Vectors of length 1 with their entry, one shelf for each partition.

    When ``capacity`` entries are held, a new one takes the place of the oldest. ``exact``
    compares with every entry of the partition; ``faiss`` does so until a partition is large, and
    then with its nearest cells only. Belongs to one thread. SettingsError when the package that
    ``kind`` needs is not installed.
    """

    def __init__(self, dimension: int, capacity: int, kind: IndexKind = "exact") -> None:
        if capacity < 1:
            raise ValueError("an index has room for one entry at least")
        self._dimension = dimension
        self._capacity = capacity
        self._faiss = load_faiss() if kind == "faiss" else None
        self._scratch = Scratch()
        self._shelves: dict[str, Shelf] = {}
        self._partitions: OrderedDict[int, str] = OrderedDict()  # of each entry, the oldest first

    def __len__(self) -> int:
        return len(self._partitions)

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self._partitions

    def ids(self) -> list[int]:
        """The entries that are held, the oldest first."""
        return list(self._partitions)

    def add(self, entry_id: int, partition: str, vector: NDArray[np.float32]) -> None:
        """Add one entry, or replace it; its vector has shape (dimension,)."""
        self.discard([entry_id])
        if len(self) == self._capacity:
            self.discard([next(iter(self._partitions))])
        if partition not in self._shelves:
            self._shelves[partition] = self._new_shelf()
        self._shelves[partition].add(entry_id, vector)
        self._partitions[entry_id] = partition

    def discard(self, entry_ids: Iterable[int]) -> None:
        """Forget entries and free their places; those that are not held are passed over."""
        for entry_id in entry_ids:
            partition = self._partitions.pop(entry_id, None)
            if partition is None:
                continue
            shelf = self._shelves[partition]
            shelf.discard(entry_id)
            if not len(shelf):
                del self._shelves[partition]

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
        found: list[list[Neighbour]] = [[] for _ in partitions]
        together: defaultdict[str, list[int]] = defaultdict(list)
        for row, partition in enumerate(partitions):
            together[partition].append(row)
        for partition, rows in together.items():
            shelf = self._shelves.get(partition)
            if shelf is None:
                continue
            answers = shelf.nearest(vectors[rows], threshold=threshold, most=most)
            for row, neighbours in zip(rows, answers, strict=True):
                found[row] = neighbours
        return found

    def _new_shelf(self) -> Shelf:
        exact = ExactShelf(self._dimension, self._capacity, self._scratch)
        return exact if self._faiss is None else CellShelf(exact, self._faiss)
