"""Learns byte-pair merges from counted pieces (Sennrich et al. 2016), those that `tokenizers` would learn.

The pair that occurs most often is merged first; among equals the one with the smaller ids. Counts have 64
bits. Merges within a token do not depend on what stands around it, so that no two merges spell the same
token, and all occurrences of a pair come into being at once, when the newer of its two tokens does. They are
noted then and never searched for; how many of them are left is counted when the pair's turn comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmcore.tokenizers.key_table import grown
from lmcore.tokenizers.merge_queue import MergeQueue
from lmcore.tokenizers.stream import Cells, Stream

_RIGHT = 0xFFFFFFFF
"""A pair as a key: the left id in the upper half, the right one in the lower."""


class Merged(NamedTuple):
    """What was learned."""

    tokens: list[bytes]
    """What each id spells."""
    merges: list[tuple[int, int]]
    """Pairs of ids in the order of merging."""


def learn(stream: Stream, tokens: Sequence[bytes], vocab_size: int, min_frequency: int) -> Merged:
    """Merge until the vocabulary is full or no pair occurs often enough.

    Args:
        stream: the pieces in ids of `tokens`; it is used up.
        tokens: what the first ids spell.
    """
    spelled = list(tokens)
    pairs = _Pairs(stream, max(min_frequency, 1))
    merges: list[tuple[int, int]] = []
    while len(spelled) < vocab_size and (best := pairs.next()):
        left, right, cells = best
        pairs.merge(left, right, len(spelled), cells)
        spelled.append(spelled[left] + spelled[right])
        merges.append((left, right))
    return Merged(spelled, merges)


class _Pairs:
    """All pairs of neighbours that may still be merged, with the cells where they came into being."""

    def __init__(self, stream: Stream, least: int) -> None:
        self.stream, self.least = stream, least
        self._queue = MergeQueue(least)
        self._cells = stream.room_for_pairs()
        self._used = 0
        self._spans = np.zeros((0, 2), dtype=np.int64)
        """Where a pair's cells lie in `_cells`, from and up to, by number."""
        self._num_pairs = 0
        for left, keys, cells in stream.pairs():
            self._add(left << 32 | keys, cells)

    def next(self) -> tuple[int, int, Cells] | None:
        """The pair to merge next and its cells; None when the rest is too rare."""
        while (waiting := self._queue.take()) is not None:
            count, key, number = waiting
            left, right = key >> 32, key & _RIGHT
            start, end = self._spans[number].tolist()
            cells = self.stream.still(self._cells[start:end], left, right)
            now = self.stream.count(cells)
            if now == count:
                return left, right, cells
            if now >= self.least:
                self._cells[start : start + len(cells)] = cells
                self._spans[number, 1] = start + len(cells)
                self._queue.put_back(now, key, number)
        return None

    def merge(self, left: int, right: int, token: int, cells: Cells) -> None:
        """Put `token` in the place of a pair, and note the pairs that it makes with its neighbours."""
        cells = self.stream.merge(cells, token, is_double=left == right)
        before, lefts = self.stream.before(cells)
        behind = self.stream.behind(cells)
        has_left, has_right = lefts >= 0, (behind >= 0) & (behind != token)
        keys = np.concatenate([
            lefts[has_left].astype(np.int64) << 32 | token,
            behind[has_right].astype(np.int64) | token << 32,
        ])  # fmt: skip
        self._add(keys, np.concatenate([before[has_left], cells[has_right]]))

    def _add(self, keys: NDArray[np.int64], cells: Cells) -> None:
        """Let new pairs wait, given by the key at each cell; those too rare to be merged are forgotten."""
        if not len(keys):
            return
        order = np.argsort(keys, kind="stable")
        keys, cells = keys[order], cells[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        counts = np.add.reduceat(self.stream.times(cells), starts)
        lengths = np.append(starts[1:], len(keys)) - starts
        enough = counts >= self.least
        if not enough.all():
            cells = cells[np.repeat(enough, lengths)]
            starts, counts, lengths = starts[enough], counts[enough], lengths[enough]
        first, self._num_pairs = self._num_pairs, self._num_pairs + len(starts)
        self._cells[self._used : self._used + len(cells)] = cells
        self._spans = grown(self._spans, self._num_pairs)
        ends = self._used + np.cumsum(lengths)
        self._spans[first : self._num_pairs, 0] = ends - lengths
        self._spans[first : self._num_pairs, 1] = ends
        self._used += len(cells)
        self._queue.put(keys[starts], first, counts)
