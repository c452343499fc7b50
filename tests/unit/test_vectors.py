"""The vector index finds what a plain loop finds, whatever came and went before."""

import sys
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from penstock_shared.errors import SettingsError
from penstock_workers.cache.vectors import VectorIndex
from penstock_workers.cache.vectors_exact import ExactShelf, Scratch

DIMENSION = 8
MOST = 4
ROUNDING = 1e-5


class Row(NamedTuple):
    entry_id: int
    partition: str
    vector: NDArray[np.float32]


def unit_vectors(count: int, seed: int, dimension: int = DIMENSION) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(rows: list[Row], capacity: int) -> VectorIndex:
    index = VectorIndex(DIMENSION, capacity)
    for row in rows:
        index.add(*row)
    return index


def by_loop(rows: list[Row], asked: Row, threshold: float) -> list[tuple[int, float]] | None:
    """None where rounding alone says who is nearer, or near enough."""
    near = [
        (row.entry_id, float(np.dot(row.vector, asked.vector)))
        for row in rows
        if row.partition == asked.partition
    ]
    ranked = sorted(near, key=lambda found: -found[1])
    borders = [threshold, *(similarity for _, similarity in ranked[: MOST + 1])]
    if any(abs(one - other) < ROUNDING for one, other in combinations(borders, 2)):
        return None
    return [found for found in ranked if found[1] >= threshold][:MOST]


@given(
    st.integers(0, 1000),
    st.integers(0, 60),
    st.integers(1, 40),
    st.floats(-1, 1, exclude_min=True),
    st.data(),
)
def test_it_finds_what_a_plain_loop_over_the_newest_entries_finds(
    seed: int, count: int, capacity: int, threshold: float, data: st.DataObject
) -> None:
    partitions = st.sampled_from(["p", "q", "r"])
    vectors = unit_vectors(count + 3, seed)
    rows = [Row(100 + n, data.draw(partitions), vectors[n]) for n in range(count)]
    asked = [Row(0, name, vectors[count + n]) for n, name in enumerate(["p", "q", "unknown"])]
    found = filled(rows, capacity).nearest(
        np.stack([row.vector for row in asked]),
        [row.partition for row in asked],
        threshold=threshold,
        most=MOST,
    )
    for row, neighbours in zip(asked, found, strict=True):
        expected = by_loop(rows[-capacity:], row, threshold)
        if expected is not None:
            assert [n.entry_id for n in neighbours] == [entry_id for entry_id, _ in expected]
            assert [n.similarity for n in neighbours] == pytest.approx(
                [similarity for _, similarity in expected], abs=ROUNDING
            )


def test_beyond_its_capacity_a_new_entry_takes_the_place_of_the_oldest() -> None:
    vectors = unit_vectors(5, seed=1)
    index = filled([Row(n, "p", vectors[n]) for n in range(5)], capacity=3)
    assert len(index) == 3
    assert [n in index for n in range(5)] == [False, False, True, True, True]


def test_it_grows_past_its_first_rows_and_keeps_what_it_had() -> None:
    count = 2500
    vectors = unit_vectors(count, seed=2)
    index = filled([Row(n, "p", vectors[n]) for n in range(count)], capacity=10_000)
    found = index.nearest(vectors, ["p"] * count, threshold=0.99, most=1)
    assert len(index) == count
    assert [neighbours[0].entry_id for neighbours in found] == list(range(count))


def test_the_very_same_vector_in_another_partition_is_not_found() -> None:
    [vector] = unit_vectors(1, seed=3)
    index = filled([Row(1, "mine", vector)], capacity=10)
    asked = np.stack([vector, vector])
    assert [
        len(found) for found in index.nearest(asked, ["mine", "yours"], threshold=0.5, most=4)
    ] == [
        1,
        0,
    ]


def test_an_empty_index_answers_every_row_with_nothing() -> None:
    index = VectorIndex(DIMENSION, 10)
    assert index.nearest(unit_vectors(2, seed=4), ["p", "q"], threshold=0.1, most=4) == [[], []]


def test_no_rows_are_answered_with_nothing() -> None:
    index = filled([Row(1, "p", unit_vectors(1, seed=5)[0])], capacity=10)
    assert index.nearest(np.zeros((0, DIMENSION), np.float32), [], threshold=0.1, most=4) == []


@given(
    st.integers(0, 1000),
    st.integers(1, 30),
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 40), st.sampled_from(["p", "q", "r"])),
            st.tuples(st.just("discard"), st.integers(0, 40), st.just("")),
        ),
        max_size=120,
    ),
)
def test_after_any_coming_and_going_it_holds_and_finds_what_a_plain_list_does(
    seed: int, capacity: int, steps: list[tuple[str, int, str]]
) -> None:
    vectors = unit_vectors(len(steps) + 1, seed)
    index, plain = VectorIndex(DIMENSION, capacity), list[Row]()
    for vector, (step, entry_id, partition) in zip(vectors, steps, strict=False):
        plain = [row for row in plain if row.entry_id != entry_id]
        if step == "add":
            index.add(entry_id, partition, vector)
            plain = [*plain, Row(entry_id, partition, vector)][-capacity:]
        else:
            index.discard([entry_id])
    assert index.ids() == [row.entry_id for row in plain]
    assert len(index) == len(plain)
    for partition in ("p", "q", "r"):
        [found] = index.nearest(vectors[-1:], [partition], threshold=-0.99, most=MOST)
        expected = by_loop(plain, Row(-1, partition, vectors[-1]), -0.99)
        if expected is not None:
            assert [n.entry_id for n in found] == [entry_id for entry_id, _ in expected]


def test_an_entry_that_is_discarded_frees_its_place() -> None:
    vectors = unit_vectors(4, seed=6)
    index = filled([Row(n, "p", vectors[n]) for n in range(3)], capacity=3)
    index.discard([1, 99])
    index.add(3, "p", vectors[3])
    assert index.ids() == [0, 2, 3]
    [found] = index.nearest(vectors[1:2], ["p"], threshold=0.999, most=1)
    assert found == []


def test_an_entry_that_is_added_again_is_replaced() -> None:
    old, new = unit_vectors(2, seed=7)
    index = filled([Row(1, "p", old), Row(1, "q", new)], capacity=10)
    assert len(index) == 1
    found = index.nearest(np.stack([old, new]), ["p", "q"], threshold=0.99, most=4)
    assert [[n.entry_id for n in group] for group in found] == [[], [1]]


def test_of_equally_near_entries_the_oldest_comes_first() -> None:
    [vector] = unit_vectors(1, seed=8)
    index = filled([Row(n, "p", vector) for n in (5, 3, 9)], capacity=10)
    [found] = index.nearest(vector[None], ["p"], threshold=0.9, most=4)
    assert [n.entry_id for n in found] == [3, 5, 9]


def test_more_questions_than_one_product_takes_are_all_answered() -> None:
    vectors = unit_vectors(50, seed=9)
    index = filled([Row(n, "pq"[n % 2], vectors[n]) for n in range(50)], capacity=50)
    found = index.nearest(vectors, ["pq"[n % 2] for n in range(50)], threshold=0.999, most=1)
    assert [group[0].entry_id for group in found] == list(range(50))


def test_memory_is_given_back_when_a_partition_empties() -> None:
    shelf = ExactShelf(DIMENSION, 1000, Scratch())
    for n, vector in enumerate(unit_vectors(1000, seed=10)):
        shelf.add(n, vector)
    for n in range(995):
        shelf.discard(n)
    assert sorted(shelf.ids) == list(range(995, 1000))
    base = shelf.vectors.base
    assert base is not None
    assert len(base) < 4 * 5


def test_an_index_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="one entry"):
        VectorIndex(DIMENSION, 0)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(SettingsError, match="pip install faiss-cpu"):
        VectorIndex(DIMENSION, 10, "faiss")
