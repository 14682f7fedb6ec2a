"""What a proposed pair really shares, and what follows: who is removed because of whom, and who is family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmcore.corpus.minhash import Pairs
from lmcore.corpus.settings import DeduplicateConfig
from lmcore.corpus.words import Hashes


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

    def is_family(self, config: DeduplicateConfig) -> bool:
        """Whether the two have to stand on one side; true of all duplicates."""
        return self.jaccard >= config.family_jaccard or self.containment >= config.family_containment


def verify(pairs: Pairs, sets: Mapping[int, Hashes], config: DeduplicateConfig) -> list[Similar]:
    """The proposed pairs, (P, 2), that are duplicates or family by their exact shingle sets."""
    similar = []
    for keeper, other in pairs.tolist():
        left, right = sets[keeper], sets[other]
        shared = len(np.intersect1d(left, right, assume_unique=True))
        pair = Similar(keeper, other, shared / (len(left) + len(right) - shared), shared / len(right))
        if pair.is_family(config):
            similar.append(pair)
    return similar


def choose_removed(similar: Sequence[Similar], config: DeduplicateConfig) -> dict[int, Similar]:
    """For each document to remove, the evidence: the most similar document that stays.

    Documents are numbered in the order of who survives. Each is removed only for one that itself stays: a
    document that is like a removed one, and like no other, stays. Else whole sources melt into one document.
    """
    removed: dict[int, Similar] = {}
    for pair in sorted(similar, key=lambda pair: (pair.other, -pair.jaccard, pair.keeper)):
        if pair.is_duplicate(config) and pair.keeper not in removed and pair.other not in removed:
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
