"""A hash table in NumPy: numbers for distinct keys of 128 bits, asked for thousands at once.

Open addressing with linear probing, less than half full. Numbers are given in the order of addition and never
change, so that whatever belongs to a key is kept in arrays beside the table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0xD6E8FEB86659FD93))
_SHIFT, _FOLD = np.uint64(24), np.uint64(32)

Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]


class KeyTable:
    """Keys of two words each; one thread may add while others ask."""

    def __init__(self) -> None:
        self._size = 0
        self._low = np.zeros(1 << 10, dtype="<u8")
        self._high = np.zeros(1 << 10, dtype="<u8")
        self._slots = np.full(1 << 12, -1, dtype=np.int32)

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self._low.nbytes + self._high.nbytes + self._slots.nbytes

    @property
    def keys(self) -> tuple[Words, Words]:
        """The two words of every key, in the order of numbers, each (size,)."""
        return self._low[: self._size], self._high[: self._size]

    def find(self, low: Words, high: Words) -> Numbers:
        """The number of each key, (N,); -1 for one that was never added."""
        slots = self._slots
        mask = np.int64(len(slots) - 1)
        slot = _hash(low, high) & mask
        numbers = slots[slot].astype(np.int64)
        # Keys are read after slots: a number that another thread has just put there has its key by then.
        wrong = np.flatnonzero((numbers >= 0) & ((self._low[numbers] != low) | (self._high[numbers] != high)))
        while len(wrong):
            slot[wrong] = (slot[wrong] + 1) & mask
            numbers[wrong] = again = slots[slot[wrong]].astype(np.int64)
            is_other = (self._low[again] != low[wrong]) | (self._high[again] != high[wrong])
            wrong = wrong[(again >= 0) & is_other]
        return numbers

    def add(self, low: Words, high: Words, is_found: NDArray[np.bool_] | None = None) -> Numbers:
        """Give the next numbers to new, distinct keys; those that `is_found` leaves out are never found."""
        numbers = np.arange(self._size, self._size + len(low))
        self._make_room(self._size + len(low))
        self._low[numbers], self._high[numbers] = low, high
        self._size += len(low)
        if is_found is None:
            _occupy(self._slots, low, high, numbers)
        else:
            _occupy(self._slots, low[is_found], high[is_found], numbers[is_found])
        return numbers

    def _make_room(self, size: int) -> None:
        self._low, self._high = grown(self._low, size), grown(self._high, size)
        if 2 * size > len(self._slots):
            slots = np.full(1 << (3 * size).bit_length(), -1, dtype=np.int32)
            numbers = self._slots[self._slots >= 0].astype(np.int64)
            _occupy(slots, self._low[numbers], self._high[numbers], numbers)
            self._slots = slots


def grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """The same array, or a copy at least twice as long with zeros behind, where it is shorter than `size`."""
    if size <= len(array):
        return array
    more = np.zeros((max(size, 2 * len(array)) - len(array), *array.shape[1:]), dtype=array.dtype)
    return np.concatenate([array, more])


def _hash(low: Words, high: Words) -> Numbers:
    mixed = low * _MIX[0] ^ high * _MIX[1]
    mixed ^= mixed >> _FOLD
    mixed *= _MIX[2]
    return (mixed >> _SHIFT).view(np.int64)


def _occupy(slots: NDArray[np.int32], low: Words, high: Words, numbers: Numbers) -> None:
    """Put each number into the first free slot from its hash on."""
    mask = np.int64(len(slots) - 1)
    slot = _hash(low, high) & mask
    while len(numbers):
        free = slots[slot] < 0
        slots[slot[free]] = numbers[free]  # where several want one slot, one of them gets it
        waits = slots[slot] != numbers
        slot, numbers = (slot[waits] + 1) & mask, numbers[waits]
