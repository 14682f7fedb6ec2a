"""Which vectors are nearest by cosine: every one is looked at, a block at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16
"""Vectors looked at together."""


class Nearest(NamedTuple):
    """For each query, what is nearest, the nearest first."""

    rows: NDArray[np.int64]
    """(Q, K)"""
    cosines: NDArray[np.float64]
    """(Q, K)"""


def nearest(vectors: NDArray[np.float32], queries: NDArray[np.float32], num: int) -> Nearest:
    """The `num` vectors with the largest cosine to each query; of equally near ones the earlier row.

    Exact, in O(N) per query. A vector of zeros has no direction: its cosine is -1 to everything.

    Args:
        vectors: (N, D), in memory or mapped.
        queries: (Q, D).
    """
    from threadpoolctl import threadpool_limits

    asked = _directions(queries)
    rows, cosines = np.zeros((len(asked), 0), np.int64), np.zeros((len(asked), 0))
    with threadpool_limits(1):
        for begin in range(0, len(vectors), BLOCK):
            block = _directions(vectors[begin : begin + BLOCK])
            found = np.where(block.any(axis=1), np.clip(asked @ block.T, -1, 1), -1)  # (Q, B)
            rows = np.hstack([rows, np.broadcast_to(np.arange(begin, begin + len(block)), found.shape)])
            cosines = np.hstack([cosines, found])
            best = np.argsort(-cosines, axis=1, kind="stable")[:, :num]
            rows, cosines = np.take_along_axis(rows, best, 1), np.take_along_axis(cosines, best, 1)
    return Nearest(rows, cosines)


def _directions(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each with length 1, zeros as they are."""
    exact = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.divide(exact, lengths, out=np.zeros_like(exact), where=lengths > 0)
