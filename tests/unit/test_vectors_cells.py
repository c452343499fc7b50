"""A large partition's cells find almost all that a plain loop finds, whatever came and went."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock_workers.cache.vectors import VectorIndex
from penstock_workers.cache.vectors_cells import CellShelf, load_faiss
from penstock_workers.cache.vectors_exact import ExactShelf, Scratch

pytest.importorskip("faiss")
faiss: Any = load_faiss()

DIMENSION = 16
CAPACITY = 10_000


def clustered(count: int, seed: int) -> NDArray[np.float32]:
    """Vectors of length 1 around a hundred centres."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(100, DIMENSION))
    vectors = centres[draw.integers(0, 100, count)] + 0.3 * draw.normal(size=(count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def shelf(exact_up_to: int = 500) -> CellShelf:
    exact = ExactShelf(DIMENSION, CAPACITY, Scratch())
    return CellShelf(exact, faiss, exact_up_to=exact_up_to, cells=32)


def recall(shelf: CellShelf, held: dict[int, NDArray[np.float32]]) -> float:
    """Of the nearest 4 of every tenth entry; what is not held must not be found."""
    ids, vectors = np.array(list(held)), np.stack(list(held.values()))
    asked = vectors[::10]
    found = shelf.nearest(asked, threshold=0.9, most=4)
    hits = wanted = 0
    for similarities, neighbours in zip(asked @ vectors.T, found, strict=True):
        near = np.argsort(-similarities)[:4]
        expected = set(ids[near[similarities[near] >= 0.9]].tolist())
        assert {n.entry_id for n in neighbours} <= set(held)
        assert all(n.similarity >= 0.9 for n in neighbours)
        assert [n.similarity for n in neighbours] == sorted(
            (n.similarity for n in neighbours), reverse=True
        )
        hits += len(expected & {n.entry_id for n in neighbours})
        wanted += len(expected)
    return hits / wanted


@pytest.mark.parametrize("count", [400, 2000])
def test_it_finds_nearly_everything_before_and_after_it_turns_to_cells(count: int) -> None:
    cells, held = shelf(), dict(enumerate(clustered(count, seed=1)))
    for entry_id, vector in held.items():
        cells.add(entry_id, vector)
    assert len(cells) == count
    assert recall(cells, held) >= (1.0 if count <= 500 else 0.98)


def test_a_long_coming_and_going_leaves_it_as_good_as_new() -> None:
    cells, held = shelf(), dict[int, NDArray[np.float32]]()
    for entry_id, vector in enumerate(np.concatenate([clustered(3000, 2), clustered(3000, 3)])):
        cells.add(entry_id, vector)
        held[entry_id] = vector
        if len(held) > 800:
            oldest = next(iter(held))
            cells.discard(oldest)
            del held[oldest]
    assert len(cells) == len(held) == 800
    assert recall(cells, held) >= 0.98


def test_an_emptied_shelf_finds_nothing_and_can_be_filled_again() -> None:
    cells, vectors = shelf(exact_up_to=50), clustered(100, seed=4)
    for entry_id, vector in enumerate(vectors):
        cells.add(entry_id, vector)
    for entry_id in range(100):
        cells.discard(entry_id)
    assert len(cells) == 0
    assert cells.nearest(vectors[:2], threshold=0.1, most=4) == [[], []]
    cells.add(7, vectors[7])
    [found] = cells.nearest(vectors[7:8], threshold=0.9, most=4)
    assert [n.entry_id for n in found] == [7]


def test_the_index_keeps_small_partitions_exact_with_either_kind() -> None:
    vectors = clustered(300, seed=5)
    exact, cells = VectorIndex(DIMENSION, 200), VectorIndex(DIMENSION, 200, "faiss")
    names = ["pqr"[n % 3] for n in range(300)]
    for index in (exact, cells):
        for entry_id, (name, vector) in enumerate(zip(names, vectors, strict=True)):
            index.add(entry_id, name, vector)
        index.discard(range(150, 170))
    assert exact.ids() == cells.ids() == [*range(100, 150), *range(170, 300)]
    asked = {"threshold": 0.8, "most": 4}
    assert exact.nearest(vectors, names, **asked) == cells.nearest(vectors, names, **asked)  # type: ignore[arg-type]
