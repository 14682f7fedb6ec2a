"""What a proposed pair really shares, and what follows: who is removed because of whom, and who is family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lmcore.corpus.minhash import Pairs
from lmcore.corpus.settings import DeduplicateConfig
from lmcore.corpus.words import Hashes

NEIGHBOURS = 256
"""Documents that are compared with one other at once."""
SLACK = 0.05
"""Sizes that were estimated are believed but for this share."""


@dataclass(frozen=True, slots=True)
class Similar:
    """A verified pair; `keeper` comes before `other` in the order of who survives."""

    keeper: int
    other: int
    jaccard: float
    """Shared shingles as a share of those that either has."""
    containment: float
    """Shared shingles as a share of those of `other`."""

    def is_near(self, config: DeduplicateConfig) -> bool:
        """Whether the two say the same as a whole."""
        return self.jaccard >= config.jaccard

    def is_duplicate(self, config: DeduplicateConfig) -> bool:
        """Whether `other` may be removed for `keeper`."""
        return self.is_near(config) or self.containment >= config.containment


def verify(pairs: Pairs, sets: Mapping[int, Hashes], config: DeduplicateConfig) -> list[Similar]:
    """The proposed pairs, (P, 2), that are duplicates or family by their exact shingle sets.

    Args:
        sets: distinct hashes, sorted, not empty.
    """
    return judge(pairs, count_members(pairs, sets), config)


def judge(pairs: Pairs, counts: NDArray[np.int64], config: DeduplicateConfig) -> list[Similar]:
    """The pairs, (P, 2), that are duplicates or family by the counts of their members, (P, 3)."""
    own, theirs, shared = counts.T
    jaccard, containment = shared / (own + theirs - shared), shared / theirs
    is_family = (jaccard >= config.family_jaccard) | (containment >= config.family_containment)
    rows = (pairs[is_family, 0], pairs[is_family, 1], jaccard[is_family], containment[is_family])
    return [Similar(*row) for row in zip(*(column.tolist() for column in rows), strict=True)]


def count_members(pairs: Pairs, sets: Mapping[int, Hashes]) -> NDArray[np.int64]:
    """For each pair the size of either set, and how many members they share, (P, 3).

    Args:
        sets: distinct hashes, sorted, not empty; asked for one keeper and its neighbours at a time.
    """
    counts = np.zeros((len(pairs), 3), np.int64)
    for start, end in _neighbourhoods(pairs):
        own, theirs = sets[int(pairs[start, 0])], [sets[other] for other in pairs[start:end, 1].tolist()]
        counts[start:end, 0] = len(own)
        counts[start:end, 1] = list(map(len, theirs))
        counts[start:end, 2] = _count_shared(own, theirs)
    return counts


def _neighbourhoods(pairs: Pairs) -> Iterator[tuple[int, int]]:
    """Rows of pairs that follow each other and have one keeper, a limited number at a time."""
    firsts = [0, *(np.flatnonzero(np.diff(pairs[:, 0])) + 1).tolist(), len(pairs)] if len(pairs) else [0]
    for first, last in pairwise(firsts):
        for start in range(first, last, NEIGHBOURS):
            yield start, min(start + NEIGHBOURS, last)


def _count_shared(own: Hashes, theirs: Sequence[Hashes]) -> NDArray[np.int64]:
    """How many members a set shares with each of some others; all sorted, distinct and not empty."""
    members = np.concatenate(theirs)
    places = np.minimum(np.searchsorted(own, members), len(own) - 1)
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(own[places] == members)])
    firsts = np.cumsum([0, *map(len, theirs)])
    return np.diff(sums[firsts])


def least_jaccard(
    keeper_sizes: NDArray[np.floating], other_sizes: NDArray[np.floating], config: DeduplicateConfig
) -> NDArray[np.float64]:
    """The smallest Jaccard index at which pairs of sets of about these sizes, (P,) each, may be family."""
    keeper, other = keeper_sizes * (1 + SLACK), other_sizes * (1 - SLACK)
    shared = config.family_containment * other
    return np.minimum(shared / np.maximum(keeper + other - shared, 1.0), config.family_jaccard)


def choose_removed(similar: Sequence[Similar], config: DeduplicateConfig) -> dict[int, Similar]:
    """For each document to remove, the evidence: the most similar document that stays.

    Documents are numbered in the order of who survives. Each is removed only for one that itself stays: a
    document that is like a removed one, and like no other, stays. Else whole sources melt into one document.
    """
    removed: dict[int, Similar] = {}
    duplicates = [pair for pair in similar if pair.is_duplicate(config)]
    for pair in sorted(duplicates, key=lambda pair: (pair.other, -pair.jaccard, pair.keeper)):
        if pair.keeper not in removed and pair.other not in removed:
            removed[pair.other] = pair
    return removed


def families(digests: Sequence[str], similar: Sequence[Similar]) -> list[str]:
    """For each document, the smallest digest among itself and all that similar pairs link it to."""
    parents = list(range(len(digests)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for pair in similar:
        left, right = root(pair.keeper), root(pair.other)
        if digests[left] > digests[right]:
            left, right = right, left
        parents[right] = left  # the root always has the smallest digest
    return [digests[root(place)] for place in range(len(digests))]
