"""Which pairs of documents are worth a comparison: MinHash signatures (Broder 1997), cut into bands.

A proposal is never a verdict: `similarity.py` compares the exact sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmcore.corpus.words import Hashes, Places, Runs, distinct, in_ranges, mix, stream

Pairs = NDArray[np.int64]

THROWS = 8
"""So often each shingle is thrown into one bin; bins that are empty then look at all shingles."""
SPARE = 8
"""Cells for each shingle when the distinct ones are counted."""
FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
AT_ONCE = 1 << 16
"""Hashes that are looked at together, few enough that they stay in the processor's cache."""
PAIRS_AT_ONCE = 1 << 20
CROWD = 64
"""In a band's bucket of more documents than this, not all pairs are proposed."""
CROWD_LEADERS = 8
"""In such a crowd, each document is paired with this many of the first ones, and with the one before it."""


@dataclass(frozen=True)
class Signatures:
    """What is kept of N sets."""

    bands: NDArray[np.uint32]
    """(N, bands): two sets agree in a band as likely as Jaccard^rows says."""
    marks: NDArray[np.uint8]
    """(N, bands * rows), one a minimum: two sets agree in about the share that their Jaccard index says."""
    sizes: NDArray[np.float32]
    """(N,): about how many distinct members each has, to a hundredth or so."""


class MinHash:
    """Signatures of `bands * rows` minima; two sets agree in one as likely as their Jaccard index says.

    A shingle is not hashed once for each minimum: it is thrown into one of the bins, again and again, and a
    bin takes the smallest hash of the earliest throw that reached it (Dahlgaard, Knudsen and Thorup 2017,
    "Fast similarity sketching"). One throw fills the bins of a long text. Those that `THROWS` throws leave
    empty, in a short one, take the smallest hash of all shingles, as in Broder's scheme. All of this is a
    function of the set, so short texts and long ones are comparable.
    """

    def __init__(self, bands: int, rows: int, seed: int) -> None:
        self.bands, self.rows, self.num_bins = bands, rows, bands * rows
        self._seeds = stream(seed, THROWS + self.num_bins)

    def signature(self, shingles: Hashes) -> Hashes:
        """The band hashes of one set, (bands,); needs one shingle or more."""
        runs = Runs(shingles, np.array([0, len(shingles)], np.int64))
        return self._band_hashes(self._minima(runs))[0]

    def signatures(self, runs: Runs) -> Signatures:
        """The signatures of many sets; one without shingles agrees with all others of its kind."""
        minima = self._minima(runs)
        bands = self._band_hashes(minima).astype(np.uint32)
        return Signatures(bands, (minima & np.uint64(255)).astype(np.uint8), distinct_sizes(runs))

    def _minima(self, runs: Runs) -> Hashes:
        """(N, bins); all of them full but for an empty set's."""
        counts = np.diff(runs.firsts)
        minima = np.full((len(counts), self.num_bins), FULL)
        shingles, rows = runs.hashes, np.repeat(np.arange(len(counts)), counts)
        for throw in range(THROWS):
            hashes = _scramble(shingles ^ self._seeds[throw])
            bins = ((hashes >> np.uint64(40)) * np.uint64(self.num_bins)) >> np.uint64(24)
            values = (hashes & np.uint64((1 << 40) - 1)) | np.uint64(throw << 40)
            np.minimum.at(minima.reshape(-1), rows * self.num_bins + bins.astype(np.int64), values)
            is_open = (minima == FULL).any(axis=1)[rows]
            shingles, rows = shingles[is_open], rows[is_open]
            if not len(rows):
                return minima
        self._fill(minima, runs)
        return minima

    def _fill(self, minima: Hashes, runs: Runs) -> None:
        counts = np.diff(runs.firsts)
        rows, bins = np.nonzero((minima == FULL) & (counts > 0)[:, None])
        for part in _parts(counts[rows], AT_ONCE):
            row, its_bin, count = rows[part], bins[part], counts[rows[part]]
            shingles = runs.hashes[in_ranges(runs.firsts[row], count)]
            hashes = _scramble(shingles ^ np.repeat(self._seeds[THROWS + its_bin], count))
            smallest = np.minimum.reduceat(hashes, np.cumsum(count) - count)
            minima[row, its_bin] = (smallest >> np.uint64(24)) | np.uint64(THROWS << 40)

    def _band_hashes(self, minima: Hashes) -> Hashes:
        rows = minima.reshape(len(minima), self.bands, self.rows)
        hashes = np.tile(np.arange(self.bands, dtype=np.uint64), (len(minima), 1))
        for row in range(self.rows):
            hashes = mix(hashes ^ rows[:, :, row])
        return hashes


def _scramble(hashes: Hashes) -> Hashes:
    """Of hashes that are random already, others that have nothing to do with them."""
    hashes = hashes * np.uint64(0xD6E8FEB86659FD93)
    hashes ^= hashes >> np.uint64(32)
    hashes *= np.uint64(0xD6E8FEB86659FD93)
    return hashes ^ (hashes >> np.uint64(32))


def distinct_sizes(runs: Runs) -> NDArray[np.float32]:
    """About how many distinct hashes each set has, (N,), by linear counting (Whang et al. 1990)."""
    counts = np.diff(runs.firsts)
    is_hit = np.zeros(SPARE * len(runs.hashes), np.uint8)
    cells = np.repeat(SPARE * counts, counts).astype(np.uint64)
    places = ((runs.hashes >> np.uint64(32)) * cells) >> np.uint64(32)
    is_hit[np.repeat(SPARE * runs.firsts[:-1], counts) + places.astype(np.int64)] = 1
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_hit, dtype=np.int64)])[SPARE * runs.firsts]
    return (-SPARE * counts * np.log1p(-np.diff(sums) / np.maximum(SPARE * counts, 1))).astype(np.float32)


def _parts(sizes: Places, at_once: int) -> Iterator[slice]:
    """Neighbouring items that come to `at_once` together, or a single one."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        done = ends[start - 1] if start else 0
        end = max(int(np.searchsorted(ends, done + at_once, side="right")), start + 1)
        yield slice(start, end)
        start = end


def candidate_pairs(signatures: NDArray[np.unsignedinteger]) -> Pairs:
    """Pairs of rows of (N, bands) that agree in a band, as (P, 2) with left < right, sorted.

    Rows come in the order of who survives: in a crowded bucket the first ones are compared with all.
    """
    found = [pairs for band in signatures.T for pairs in pairs_in_band(band)]
    return distinct_pairs(found, len(signatures))


def distinct_pairs(found: Sequence[Pairs], count: int) -> Pairs:
    """Each pair of `count` rows once, sorted, (P, 2)."""
    if not found:
        return np.zeros((0, 2), np.int64)
    codes = distinct(np.concatenate([pairs[:, 0] * count + pairs[:, 1] for pairs in found]))
    return np.stack([codes // count, codes % count], axis=1)


def pairs_in_band(band: NDArray[np.unsignedinteger]) -> Iterator[Pairs]:
    """Pairs of rows that have the same hash, (N,), some at a time; in a crowd one may come twice."""
    order = np.argsort(band, kind="stable")
    starts = (
        np.flatnonzero(np.concatenate([[True], band[order][1:] != band[order][:-1]])) if len(band) else order
    )
    sizes = np.diff(np.append(starts, len(order)))
    for size in distinct(sizes[sizes > 1]).tolist():
        lefts, rights = _pairs_of(size)
        buckets = starts[sizes == size]
        for part in _parts(np.full(len(buckets), len(lefts), np.int64), PAIRS_AT_ONCE):
            first = buckets[part, None]
            yield np.stack([order[first + lefts].reshape(-1), order[first + rights].reshape(-1)], axis=1)


def _pairs_of(size: int) -> tuple[Places, Places]:
    """All pairs of a bucket, or a number of them that grows with the bucket and not with its square."""
    if size <= CROWD:
        left, right = np.triu_indices(size, k=1)
        return left.astype(np.int64), right.astype(np.int64)
    members = np.arange(1, size, dtype=np.int64)
    lefts = [np.full(size - 1 - leader, leader, np.int64) for leader in range(CROWD_LEADERS)]
    rights = [np.arange(leader + 1, size, dtype=np.int64) for leader in range(CROWD_LEADERS)]
    return np.concatenate([*lefts, members - 1]), np.concatenate([*rights, members])


def is_plausible(
    marks: NDArray[np.uint8], pairs: Pairs, least: NDArray[np.float64], deviations: float = 5.0
) -> NDArray[np.bool_]:
    """Whether each pair may have the least Jaccard index that is of interest, by the share of equal minima.

    What is `least` or more alike agrees in too few of them, by `deviations` standard deviations, about once
    in a million times.

    Args:
        marks: (N, bins).
        pairs: (P, 2) of rows of them.
        least: (P,)
    """
    agreeing = np.empty(len(pairs), np.int64)
    bins = marks.shape[1]
    for start in range(0, len(pairs), step := max(PAIRS_AT_ONCE // bins, 1)):
        part = pairs[start : start + step]
        agreeing[start : start + step] = (marks[part[:, 0]] == marks[part[:, 1]]).sum(axis=1)
    return agreeing >= bins * least - deviations * np.sqrt(bins * least * (1 - least))
