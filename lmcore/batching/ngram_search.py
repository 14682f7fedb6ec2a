"""Where some n-grams of tokens stand in a long stream: no index is stored, the stream is read through once.

Each n-gram of the stream is hashed, a block at a time, and looked up in a small table of the hashes that are
asked for; what passes is looked up exactly among them. (Karp and Rabin 1987, for many patterns at once.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FACTOR = np.uint32(0x9E3779B1)
SPREAD = np.uint32(0x85EBCA6B)
BLOCK = 1 << 17
"""Tokens that are hashed together: their hashes stay in the processor's cache."""
Hashes = NDArray[np.uint32]


def hash_ngrams(tokens: NDArray[Any], n: int) -> Hashes:
    """The hash of each run of n tokens, (T - n + 1,)."""
    count = len(tokens) - n + 1
    if count <= 0:
        return np.zeros(0, np.uint32)
    wide = tokens.astype(np.uint32)
    hashes = wide[:count].copy()
    for place in range(1, n):
        hashes *= FACTOR
        hashes += wide[place : place + count]
    return hashes


class NgramSearch:
    """Finds the places of n-grams by their hashes; of two n-grams with one hash both are found."""

    def __init__(self, wanted: Hashes, n: int) -> None:
        self.n = n
        self.wanted = np.unique(wanted)
        bits = int(np.clip(np.ceil(np.log2(max(len(self.wanted), 1) * 128)), 14, 26))
        self._shift = np.uint32(32 - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[(self.wanted * SPREAD) >> self._shift] = True

    def find(self, tokens: NDArray[Any]) -> tuple[NDArray[np.int64], Hashes]:
        """The places in a stretch of tokens where a wanted n-gram begins, and its hash there."""
        hashes = hash_ngrams(tokens, self.n)
        places = np.flatnonzero(self._table[(hashes * SPREAD) >> self._shift])
        found = hashes[places]
        at = np.minimum(np.searchsorted(self.wanted, found), max(len(self.wanted) - 1, 0))
        is_wanted = self.wanted[at] == found if len(self.wanted) else np.zeros(len(found), np.bool_)
        return places[is_wanted], found[is_wanted]

    def find_in_files(self, files: Sequence[NDArray[Any]]) -> Iterator[tuple[NDArray[np.int64], Hashes]]:
        """`find` over a stream that is cut into files, a block at a time; places count from its beginning."""
        before, rest = 0, np.zeros(0, np.uint32)
        for file in files:
            for begin in range(0, len(file), BLOCK):
                block = file[begin : begin + BLOCK]
                # The last tokens of the block before, of whose n-grams this one holds the end.
                tokens = np.concatenate([rest, block]) if len(rest) else block
                places, hashes = self.find(tokens)
                if len(places):
                    yield places + (before - len(rest)), hashes
                before += len(block)
                rest = tokens[max(len(tokens) - self.n + 1, 0) :] if self.n > 1 else rest
