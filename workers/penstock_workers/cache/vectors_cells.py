"""Approximate nearest neighbours of a large partition: only the nearest cells are compared.

Near questions share a cell, or have neighbouring ones, so few cells suffice. Chosen by measurement
over a graph (HNSW), see docs/benchmarks.md.
"""

from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock_shared.errors import SettingsError
from penstock_workers.cache.vectors_exact import ExactShelf
from penstock_workers.cache.vectors_shelf import Neighbour, ranked

_EXACT_UP_TO: Final = 32_768  # entries; 0.3 ms per question of a batch
_CELLS: Final = 1024
_SEARCHED: Final = 8  # cells per question
_SAMPLE: Final = 32  # vectors per cell that its centre is learned from
_PASSES: Final = 6
_STALE: Final = 4  # additions since the centres were learned, for each entry held at that time


def load_faiss() -> Any:
    """The module, with one thread; SettingsError when it is not installed.

    A search takes less than a millisecond, and on a busy machine its threads would wait for each
    other for many.
    """
    try:
        faiss = import_module("faiss")
    except ImportError as error:
        raise SettingsError(
            "the index 'faiss' needs a package that is not installed: pip install faiss-cpu"
        ) from error
    faiss.omp_set_num_threads(1)
    return faiss


class CellShelf:
    """An exact shelf until it has more than ``exact_up_to`` entries; from then on, cells.

    The centres of the cells are learned anew after every fourfold turnover, in one pass over all
    entries. It halts the search for about 2 s, and 10 s more for a million entries.
    """

    def __init__(
        self,
        exact: ExactShelf,
        faiss: Any,
        *,
        exact_up_to: int = _EXACT_UP_TO,
        cells: int = _CELLS,
    ) -> None:
        self._exact: ExactShelf | None = exact
        self._faiss = faiss
        self._exact_up_to = exact_up_to
        self._count = cells
        self._cells: Any = None
        self._ids: set[int] = set()
        self._until_stale = 0

    def __len__(self) -> int:
        return len(self._exact) if self._exact is not None else len(self._ids)

    def add(self, entry_id: int, vector: NDArray[np.float32]) -> None:
        """Take in an entry that is not held; its vector has shape (dimension,)."""
        if self._exact is not None:
            self._exact.add(entry_id, vector)
            if len(self._exact) > self._exact_up_to:
                self._build(self._exact.ids.copy(), self._exact.vectors)
                self._exact = None
            return
        self._cells.add_with_ids(
            np.ascontiguousarray(vector[None], dtype=np.float32), np.array([entry_id])
        )
        self._ids.add(entry_id)
        self._until_stale -= 1
        if self._until_stale <= 0:
            ids = np.array(sorted(self._ids))
            self._build(ids, self._cells.reconstruct_batch(ids))

    def discard(self, entry_id: int) -> None:
        """Give up an entry that is held, and free its place."""
        if self._exact is not None:
            self._exact.discard(entry_id)
        else:
            self._cells.remove_ids(np.array([entry_id]))
            self._ids.remove(entry_id)

    def nearest(
        self, vectors: NDArray[np.float32], *, threshold: float, most: int
    ) -> list[list[Neighbour]]:
        """For each row of ``vectors`` (n, dimension): at most ``most``, the nearest first."""
        if self._exact is not None:
            return self._exact.nearest(vectors, threshold=threshold, most=most)
        similarities, ids = self._cells.search(np.ascontiguousarray(vectors), most)
        near = (ids >= 0) & (similarities >= threshold)
        return [
            ranked(row_ids[row_near], row[row_near], most)
            for row_ids, row, row_near in zip(ids, similarities, near, strict=True)
        ]

    def _build(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        faiss, dimension = self._faiss, vectors.shape[1]
        centres = faiss.IndexFlatIP(dimension)
        cells = faiss.IndexIVFFlat(centres, dimension, self._count, faiss.METRIC_INNER_PRODUCT)
        cells.nprobe = _SEARCHED
        cells.cp.spherical = True
        cells.cp.niter = _PASSES
        cells.cp.min_points_per_centroid = 1
        sample = min(len(ids), _SAMPLE * self._count)
        chosen = np.random.default_rng(0).choice(len(ids), sample, replace=False)
        cells.train(vectors[chosen])
        cells.set_direct_map_type(faiss.DirectMap.Hashtable)  # so that entries can be removed
        cells.add_with_ids(vectors, ids)
        self._cells = cells
        self._ids = set(ids.tolist())
        self._until_stale = _STALE * len(ids)
