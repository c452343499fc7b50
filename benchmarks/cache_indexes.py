"""Which approximate index takes over from the exact one, and from which size on."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Final, NamedTuple

import numpy as np
from cache_search import BATCH, MOST, THRESHOLD, Search, penstock, timed_ms
from cache_vectors import Vectors, World, batches

_CONNECTIVITY: Final = 16
_EXPANSION_ADD: Final = 128
_EXPANSION_SEARCH: Final = 64
_PAGE: Final = 5_000


class Measured(NamedTuple):
    """One index at one size."""

    recall: float  # of the nearest 4 at or above the threshold
    p50_ms: float  # per question, in batches of 16
    single_p50_ms: float  # a question alone
    adds_per_s: float


def measure_indexes(world: World) -> Iterator[tuple[str, Measured]]:
    """Each index that is installed, one after another: they would not fit in memory together."""
    truth: list[list[int]] | None = None
    for name, build in _builders().items():
        start = time.perf_counter()
        search = build(world.entries)
        seconds = time.perf_counter() - start
        found = [ids for asked in batches(world.questions, BATCH) for ids in search(asked)]
        truth = truth or found  # the first one is exact
        yield (
            name,
            Measured(
                _recall(truth, found),
                _p50(search, world.questions, BATCH),
                _p50(search, world.questions[:100], 1),
                len(world.entries) / seconds,
            ),
        )


def _builders() -> Mapping[str, Callable[[Vectors], Search]]:
    builders: dict[str, Callable[[Vectors], Search]] = {"exact": penstock}
    if find_spec("faiss"):
        builders["faiss"] = lambda entries: penstock(entries, "faiss")
    if find_spec("usearch"):
        builders["usearch"] = _usearch
    return builders


def _usearch(entries: Vectors) -> Search:
    """A graph (HNSW) over bfloat16 copies."""
    index = import_module("usearch.index").Index(
        ndim=entries.shape[1],
        metric="ip",
        dtype="bf16",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
        expansion_search=_EXPANSION_SEARCH,
    )
    for start in range(0, len(entries), _PAGE):
        page = entries[start : start + _PAGE]
        index.add(np.arange(start, start + len(page)), page)

    def search(asked: Vectors) -> list[list[int]]:
        matches = index.search(asked, MOST)
        keys, distances = np.atleast_2d(matches.keys), np.atleast_2d(matches.distances)
        return [
            ids[row <= 1 - THRESHOLD].tolist() for ids, row in zip(keys, distances, strict=True)
        ]

    return search


def _recall(truth: list[list[int]], found: list[list[int]]) -> float:
    hits = sum(len(set(a) & set(b)) for a, b in zip(truth, found, strict=True))
    return hits / sum(map(len, truth))


def _p50(search: Search, questions: Vectors, size: int) -> float:
    return statistics.median(timed_ms(search, asked) for asked in batches(questions, size))
