"""Which pairs of documents are worth a comparison: MinHash signatures (Broder 1997), cut into bands.

A proposal is never a verdict: `similarity.py` compares the exact sets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmcore.corpus.words import Hashes, mix, stream

Pairs = NDArray[np.int64]

BLOCK = 128
"""Shingles hashed at once, few enough that the hashes stay in the processor's cache."""
CROWD = 64
"""In a band's bucket of more documents than this, not all pairs are proposed."""
CROWD_LEADERS = 8
"""In such a crowd, each document is paired with this many of the first ones, and with the one before it."""


class MinHash:
    """Signatures of `bands * rows` minima; two sets agree in one as likely as their Jaccard index says."""

    def __init__(self, bands: int, rows: int, seed: int) -> None:
        self.bands, self.rows = bands, rows
        draws = stream(seed, 2 * bands * rows)
        self._factors = draws[0::2] | np.uint64(1)  # odd, so that multiplying loses nothing
        self._shifts = draws[1::2]

    def signature(self, shingles: Hashes) -> Hashes:
        """The document's band hashes, (bands,); needs one shingle or more."""
        minima = np.full(len(self._factors), np.iinfo(np.uint64).max, np.uint64)
        for start in range(0, len(shingles), BLOCK):
            block = shingles[start : start + BLOCK]
            hashes = self._factors[:, None] * block[None, :] + self._shifts[:, None]  # (bands * rows, block)
            np.minimum(minima, hashes.min(axis=1), out=minima)
        return self._band_hashes(minima)

    def _band_hashes(self, minima: Hashes) -> Hashes:
        rows = minima.reshape(self.bands, self.rows)
        hashes = np.arange(self.bands, dtype=np.uint64)
        for row in range(self.rows):
            hashes = mix(hashes ^ rows[:, row])
        return hashes


def candidate_pairs(signatures: Hashes) -> Pairs:
    """Pairs of rows of (N, bands) that agree in a band, as (P, 2) with left < right, sorted.

    Rows come in the order of who survives: in a crowded bucket the first ones are compared with all.
    """
    codes = [_pairs_in_band(signatures[:, band]) for band in range(signatures.shape[1])]
    count = np.int64(max(len(signatures), 1))
    unique = np.unique(
        np.concatenate([left * count + right for left, right in codes] or [np.zeros(0, np.int64)])
    )
    return np.stack([unique // count, unique % count], axis=1)


def _pairs_in_band(band: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(band, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], band[order][1:] != band[order][:-1]]))
    sizes = np.diff(np.concatenate([starts, [len(order)]]))
    lefts, rights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        left, right = _pairs_of(size)
        lefts.append(order[start + left])
        rights.append(order[start + right])
    return np.concatenate(lefts), np.concatenate(rights)


def _pairs_of(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of a bucket, or a number of them that grows with the bucket and not with its square."""
    if size <= CROWD:
        left, right = np.triu_indices(size, k=1)
        return left.astype(np.int64), right.astype(np.int64)
    members = np.arange(1, size, dtype=np.int64)
    lefts = [np.full(size - 1 - leader, leader, np.int64) for leader in range(CROWD_LEADERS)]
    rights = [np.arange(leader + 1, size, dtype=np.int64) for leader in range(CROWD_LEADERS)]
    return np.concatenate([*lefts, members - 1]), np.concatenate([*rights, members])
