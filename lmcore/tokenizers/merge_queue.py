"""Which pair comes next: the highest count, then the smallest key.

Counts only fall: a pair that comes out with a count that no longer holds is put back with the one that does.
Pairs below a floor wait in an array, and are sorted in when the floor has to go lower, so that millions of
rare pairs cost sixteen bytes each.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from lmcore.tokenizers.key_table import grown

_AT_ONCE = 1 << 15
"""Pairs sorted in when the floor is lowered; more where many have the same count."""

Integers = NDArray[np.int64]


class MergeQueue:
    """Pairs by falling count and rising key, each with a number of the caller's.

    Args:
        least: pairs that occur fewer times than this never come out.
    """

    def __init__(self, least: int) -> None:
        self.least = least
        self._keys = np.zeros(0, dtype=np.int64)
        self._waits = np.zeros(0, dtype=np.int64)
        """The count that a pair below the floor waits with, by number; 0 for all others."""
        self._floor = int(np.iinfo(np.int64).max)
        self._sorted: list[tuple[int, int, int]] = []
        """Negated counts, keys and numbers, the next one last."""
        self._heap: list[tuple[int, int, int]] = []
        """The same of those that came above the floor, or fell."""

    def put(self, keys: Integers, first: int, counts: Integers) -> None:
        """Let new pairs wait, with numbers from `first` on."""
        end = first + len(keys)
        self._keys, self._waits = grown(self._keys, end), grown(self._waits, end)
        self._keys[first:end] = keys
        is_high = counts >= self._floor
        self._waits[first:end] = np.where(is_high, 0, counts)
        high = np.flatnonzero(is_high)
        for count, key, number in zip(counts[high].tolist(), keys[high].tolist(), high.tolist(), strict=True):
            heapq.heappush(self._heap, (-count, key, first + number))

    def put_back(self, count: int, key: int, number: int) -> None:
        """Let a pair wait that had been taken."""
        if count >= self._floor:
            heapq.heappush(self._heap, (-count, key, number))
        else:
            self._waits[number] = count

    def take(self) -> tuple[int, int, int] | None:
        """Count, key and number of the next pair; None when all others are too rare."""
        while not self._heap and not self._sorted:
            if not self._lower_floor():
                return None
        if self._sorted and (not self._heap or self._sorted[-1] < self._heap[0]):
            negated, key, number = self._sorted.pop()
        else:
            negated, key, number = heapq.heappop(self._heap)
        return -negated, key, number

    def _lower_floor(self) -> bool:
        """Sort in the next pairs; False where none is left."""
        waiting = np.flatnonzero(self._waits >= self.least)
        if not len(waiting):
            return False
        counts = self._waits[waiting]
        nth = max(0, len(counts) - _AT_ONCE)
        self._floor = int(np.partition(counts, nth)[nth])
        chosen = waiting[counts >= self._floor]
        negated, keys = -self._waits[chosen], self._keys[chosen]
        order = np.lexsort((keys, negated))[::-1]
        columns = (negated[order].tolist(), keys[order].tolist(), chosen[order].tolist())
        self._sorted = list(zip(*columns, strict=True))
        self._waits[chosen] = 0
        return True
