"""The vector index finds what a plain loop finds."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from penstock_workers.cache.vectors import VectorIndex

DIMENSION = 8
MOST = 4


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


def by_loop(rows: list[Row], asked: Row, threshold: float) -> list[tuple[int, float]]:
    near = [
        (row.entry_id, float(np.dot(row.vector, asked.vector)))
        for row in rows
        if row.partition == asked.partition
    ]
    ranked = sorted(near, key=lambda found: -found[1])
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
        borderline = any(abs(similarity - threshold) < 1e-5 for _, similarity in expected)
        if not borderline:
            assert [n.entry_id for n in neighbours] == [entry_id for entry_id, _ in expected]
            assert [n.similarity for n in neighbours] == pytest.approx(
                [similarity for _, similarity in expected], abs=1e-5
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
