from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.corpus.analysis import nearest as module
from lmcore.corpus.analysis.nearest import nearest


@given(seed=st.integers(0, 1000), num=st.integers(1, 9), block=st.integers(1, 60))
def test_it_finds_what_a_look_at_all_pairs_finds_whatever_the_blocks(seed: int, num: int, block: int):
    random = np.random.RandomState(seed)
    vectors = random.standard_normal((50, 4)).astype(np.float32)
    queries = random.standard_normal((3, 4)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = nearest(vectors, queries, num)
    for query, rows, cosines in zip(queries.astype(float), found.rows, found.cosines, strict=True):
        every = [float(query @ v / np.linalg.norm(query) / np.linalg.norm(v)) for v in vectors.astype(float)]
        assert rows.tolist() == sorted(range(50), key=lambda row: -every[row])[:num]
        assert cosines == pytest.approx([every[row] for row in rows])


def test_a_vector_is_its_own_nearest_neighbour_at_any_length():
    vectors = np.random.RandomState(0).standard_normal((300, 8)).astype(np.float32)
    found = nearest(vectors, 7 * vectors, 1)
    assert found.rows[:, 0].tolist() == list(range(300))
    assert found.cosines[:, 0] == pytest.approx(1)


def test_of_equally_near_ones_the_earlier_row_is_named_first():
    vectors = np.array([[0, 1], [2, 0], [1, 0], [4, 0]], np.float32)
    assert nearest(vectors, vectors[3:], 3).rows.tolist() == [[1, 2, 3]]


def test_what_has_no_direction_is_never_near():
    vectors = np.array([[0, 0], [1, 1], [-1, 0.5]], np.float32)
    found = nearest(vectors, vectors[1:2], 3)
    assert found.rows[0].tolist() == [1, 2, 0]
    assert found.cosines[0, 2] == -1


def test_there_may_be_fewer_than_asked_for():
    vectors = np.eye(3, dtype=np.float32)
    assert nearest(vectors, vectors[:1], 10).rows.tolist() == [[0, 1, 2]]
