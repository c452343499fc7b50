"""Searching a batch of questions: Penstock's index, and what else is used for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np
from cache_vectors import Vectors, World, batches
from contender import Spread

from penstock_workers.cache.vectors import IndexKind, VectorIndex

PENSTOCK: Final = "penstock"
PARTITIONED: Final = "penstock_16_partitions"
LOOP: Final = "loop"
GPTCACHE: Final = "gptcache"

THRESHOLD: Final = 0.93
MOST: Final = 4
BATCH: Final = 16

Search = Callable[[Vectors], list[list[int]]]


class Searched(NamedTuple):
    """Milliseconds per question in batches of 16, and ratios to Penstock round by round."""

    ms: Mapping[str, Spread]
    times_penstock: Mapping[str, Spread]


def measure_search(world: World, rounds: int, on_round: Callable[[], None]) -> Searched:
    """All contenders on the same batch, round after round, in an order that turns around."""
    contenders = _contenders(world.entries)
    asked = batches(world.questions, BATCH)
    for search in contenders.values():
        search(asked[0])  # warm
    ms: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            ms[name].append(timed_ms(contenders[name], asked[number % len(asked)]))
        on_round()
    return Searched(
        {name: Spread.of(values) for name, values in ms.items()},
        {
            name: Spread.of([v / own for v, own in zip(values, ms[PENSTOCK], strict=True)])
            for name, values in ms.items()
            if name != PENSTOCK
        },
    )


def timed_ms(search: Search, asked: Vectors) -> float:
    """Milliseconds for each question of one call."""
    start = time.perf_counter()
    search(asked)
    return (time.perf_counter() - start) * 1000 / len(asked)


def penstock(entries: Vectors, kind: IndexKind = "exact", partitions: int = 1) -> Search:
    """Entries and questions in as many partitions in turn; one is the most work."""
    index = VectorIndex(entries.shape[1], len(entries), kind)
    for number, vector in enumerate(entries):
        index.add(number, str(number % partitions), vector)

    def search(asked: Vectors) -> list[list[int]]:
        names = [str(row % partitions) for row in range(len(asked))]
        found = index.nearest(asked, names, threshold=THRESHOLD, most=MOST)
        return [[neighbour.entry_id for neighbour in group] for group in found]

    return search


def _contenders(entries: Vectors) -> Mapping[str, Search]:
    chosen = {
        PENSTOCK: penstock(entries),
        PARTITIONED: penstock(entries, partitions=16),
        LOOP: _loop(entries),
    }
    if find_spec("gptcache") and find_spec("faiss"):
        chosen[GPTCACHE] = _gptcache(entries)
    return chosen


def _loop(entries: Vectors) -> Search:
    """As in tutorials: for every question, the cosine with every entry in turn."""
    cache = [{"id": number, "embedding": vector} for number, vector in enumerate(entries)]

    def one(question: Vectors) -> list[int]:
        best, best_score = None, THRESHOLD
        for entry in cache:
            embedding: Any = entry["embedding"]
            score = np.dot(question, embedding) / (
                np.linalg.norm(question) * np.linalg.norm(embedding)
            )
            if score >= best_score:
                best, best_score = entry, score
        return [best["id"]] if best else []

    return lambda asked: [one(question) for question in asked]


def _gptcache(entries: Vectors) -> Search:
    """GPTCache's own faiss store, asked as its data manager asks: one question at a time."""
    manager = import_module("gptcache.manager")
    factory = import_module("gptcache.manager.vector_data.base").VectorData
    store = manager.VectorBase(
        "faiss", dimension=entries.shape[1], index_path="/nonexistent", top_k=MOST
    )
    rows: Sequence[Any] = [factory(id=number, data=vector) for number, vector in enumerate(entries)]
    store.mul_add(rows)
    normalize = import_module("gptcache.manager.data_manager").normalize
    return lambda asked: [
        [number for _, number in store.search(normalize(question), MOST)] for question in asked
    ]
