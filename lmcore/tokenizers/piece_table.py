"""Numbers for distinct pieces, asked for a block at a time.

A piece of up to 15 bytes is its own key, in two 64-bit words with the length in the last byte: equal keys
are equal pieces, whatever the hash. Longer ones, rare in most languages, are kept in a dictionary.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from lmcore.tokenizers.key_table import KeyTable, Numbers, Words
from lmcore.tokenizers.pieces import Pieces

LONGEST_KEY = 15
_LOW_MASKS = np.array([(1 << (8 * min(size, 8))) - 1 for size in range(LONGEST_KEY + 1)], dtype="<u8")
_HIGH_MASKS = np.array([(1 << (8 * max(size - 8, 0))) - 1 for size in range(LONGEST_KEY + 1)], dtype="<u8")
_DICTIONARY_ENTRY = 200
"""Bytes that a long piece costs beside its own, about."""


class PieceTable:
    """Distinct pieces in the order of their first addition; safe to ask while another thread adds."""

    def __init__(self) -> None:
        self.lock = Lock()
        """Held by whoever adds."""
        self._short = KeyTable()
        self._long: dict[bytes, int] = {}
        self._long_bytes = 0

    def __len__(self) -> int:
        return len(self._short)

    @property
    def nbytes(self) -> int:
        """Memory, about."""
        return self._short.nbytes + self._long_bytes + _DICTIONARY_ENTRY * len(self._long)

    def find(self, pieces: Pieces) -> Numbers:
        """The number of each piece, (P,); -1 for one that was never added."""
        is_long = pieces.lengths > LONGEST_KEY
        numbers = self._short.find(*_keys(pieces, is_long))
        for place in np.flatnonzero(is_long).tolist():
            numbers[place] = self._long.get(pieces.spelled(place), -1)
        return numbers

    def add(self, pieces: Pieces) -> Numbers:
        """Give the next numbers to pieces that are new here and distinct; `lock` must be held."""
        is_long = pieces.lengths > LONGEST_KEY
        numbers = self._short.add(*_keys(pieces, is_long), ~is_long)
        for place in np.flatnonzero(is_long).tolist():
            piece = pieces.spelled(place)
            self._long_bytes += len(piece)
            self._long[piece] = int(numbers[place])
        return numbers

    def spelled(self) -> tuple[bytes, Numbers]:
        """Every piece behind the other, in the order of their numbers, and how many bytes each has."""
        low, high = self._short.keys
        lengths = (high >> np.uint64(56)).astype(np.int64)
        letters = np.stack([low, high], axis=1).view(np.uint8)  # (size, 16)
        data = letters[np.arange(16) < lengths[:, None]].tobytes()
        if not self._long:
            return data, lengths
        ends = np.cumsum(lengths).tolist()
        parts: list[bytes] = []
        start = 0
        for piece, number in self._long.items():  # in the order of numbers
            parts += (data[start : ends[number]], piece)
            start = ends[number]
            lengths[number] = len(piece)
        return b"".join([*parts, data[start:]]), lengths


def distinct(pieces: Pieces) -> tuple[Pieces, Numbers]:
    """The same pieces, each once, and how often each occurred."""
    is_long = pieces.lengths > LONGEST_KEY
    low, high = _keys(pieces, is_long)
    order = np.lexsort((low, high))[int(is_long.sum()) :]  # the keys of long ones are 0
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (low[order][1:] != low[order][:-1]) | (high[order][1:] != high[order][:-1])
    first = np.flatnonzero(is_new)
    times = np.diff(first, append=len(order))
    places: dict[bytes, list[int]] = {}
    for place in np.flatnonzero(is_long).tolist():
        places.setdefault(pieces.spelled(place), []).append(place)
    chosen = np.append(order[first], [each[0] for each in places.values()]).astype(np.int64)
    return take(pieces, chosen), np.append(times, [len(each) for each in places.values()]).astype(np.int64)


def take(pieces: Pieces, chosen: Numbers) -> Pieces:
    """Some of the pieces of a block."""
    return Pieces(pieces.data, pieces.starts[chosen], pieces.lengths[chosen], pieces.ends[:0])


def _keys(pieces: Pieces, is_long: NDArray[np.bool_]) -> tuple[Words, Words]:
    """The two words of each short piece; 0, which no piece has, for long ones."""
    words: Words = np.ndarray((len(pieces.data) - 7,), dtype="<u8", buffer=pieces.data, strides=(1,))
    lengths = np.where(is_long, 0, pieces.lengths)
    low = words[pieces.starts] & _LOW_MASKS[lengths]
    high = words[pieces.starts + 8] & _HIGH_MASKS[lengths] | lengths.astype(np.uint64) << np.uint64(56)
    return low, high
