"""Numbers for distinct pieces: a hash table in NumPy that is asked for thousands of pieces at once.

A piece of up to 15 bytes is its own key, in two 64-bit words with the length in the last byte: equal keys
are equal pieces, whatever the hash. Longer ones, rare in most languages, are kept in a dictionary.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.tokenizers.pieces import Pieces

LONGEST_KEY = 15
_MASKS = np.array([(1 << (8 * min(size, 8))) - 1 for size in range(LONGEST_KEY + 1)], dtype="<u8")
_HIGH_MASKS = np.array([(1 << (8 * max(size - 8, 0))) - 1 for size in range(LONGEST_KEY + 1)], dtype="<u8")
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0xD6E8FEB86659FD93))

Keys = NDArray[np.uint64]
Numbers = NDArray[np.int64]


class PieceTable:
    """Distinct pieces in the order of their first addition; safe to ask while another thread adds."""

    def __init__(self) -> None:
        self.lock = Lock()
        """Held by whoever adds."""
        self.long: dict[bytes, int] = {}
        self._long_bytes = 0
        self._size = 0
        self._low = np.zeros(1 << 10, dtype="<u8")
        self._high = np.zeros(1 << 10, dtype="<u8")
        self._slots = np.full(1 << 12, -1, dtype=np.int32)

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory, about; what a long piece costs in a dictionary included."""
        arrays = (self._low, self._high, self._slots)
        return sum(array.nbytes for array in arrays) + self._long_bytes + 200 * len(self.long)

    def find(self, pieces: Pieces) -> Numbers:
        """The number of each piece, (P,); -1 for one that was never added."""
        is_long = pieces.lengths > LONGEST_KEY
        low, high = _keys(pieces, is_long)
        numbers = self._find(low, high)
        for place in np.flatnonzero(is_long).tolist():
            numbers[place] = self.long.get(pieces.spelled(place), -1)
        return numbers

    def add(self, pieces: Pieces) -> None:
        """Give the next numbers to pieces that are new here and distinct; `lock` must be held."""
        is_long = pieces.lengths > LONGEST_KEY
        low, high = _keys(pieces, is_long)
        number = np.arange(self._size, self._size + len(low))
        self._make_room(self._size + len(low))
        self._low[number], self._high[number] = low, high
        for place in np.flatnonzero(is_long).tolist():
            piece = pieces.spelled(place)
            self._long_bytes += len(piece)
            self.long[piece] = int(number[place])
        self._size += len(low)
        short = ~is_long
        self._occupy(self._slots, low[short], high[short], number[short])

    def spelled(self) -> list[bytes]:
        """Every piece, in the order of its number."""
        words = np.stack([self._low[: self._size], self._high[: self._size]], axis=1)
        data = words.tobytes()
        lengths = (words[:, 1] >> np.uint64(56)).tolist()
        pieces = [data[16 * place : 16 * place + length] for place, length in enumerate(lengths)]
        for piece, number in self.long.items():
            pieces[number] = piece
        return pieces

    def _find(self, low: Keys, high: Keys) -> Numbers:
        slots = self._slots
        mask = np.int64(len(slots) - 1)
        slot = _hash(low, high) & mask
        numbers = slots[slot].astype(np.int64)
        # Keys are read after slots: a number that another thread has just put there has its key by then.
        keys_low, keys_high = self._low, self._high
        wrong = np.flatnonzero((numbers >= 0) & ((keys_low[numbers] != low) | (keys_high[numbers] != high)))
        while len(wrong):
            slot[wrong] = (slot[wrong] + 1) & mask
            numbers[wrong] = again = slots[slot[wrong]].astype(np.int64)
            keys_low, keys_high = self._low, self._high
            is_other = (keys_low[again] != low[wrong]) | (keys_high[again] != high[wrong])
            wrong = wrong[(again >= 0) & is_other]
        return numbers

    def _make_room(self, size: int) -> None:
        if size > len(self._low):
            self._low, self._high = grown(self._low, size), grown(self._high, size)
        if 2 * size > len(self._slots):
            slots = np.full(1 << (3 * size).bit_length(), -1, dtype=np.int32)
            number = np.flatnonzero(self._high[: self._size])  # a long piece has no key
            self._occupy(slots, self._low[number], self._high[number], number)
            self._slots = slots

    @staticmethod
    def _occupy(slots: NDArray[np.int32], low: Keys, high: Keys, numbers: Numbers) -> None:
        """Put each number into the first free slot from its hash on."""
        mask = np.int64(len(slots) - 1)
        slot = _hash(low, high) & mask
        while len(numbers):
            free = slots[slot] < 0
            slots[slot[free]] = numbers[free]  # where several want one slot, the last one gets it
            waits = slots[slot] != numbers
            slot, numbers = (slot[waits] + 1) & mask, numbers[waits]


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


def _keys(pieces: Pieces, is_long: NDArray[np.bool_]) -> tuple[Keys, Keys]:
    """The two words of each short piece; 0, which no piece has, for long ones."""
    words: Keys = np.ndarray((len(pieces.data) - 7,), dtype="<u8", buffer=pieces.data, strides=(1,))
    lengths = np.where(is_long, 0, pieces.lengths)
    low = words[pieces.starts] & _MASKS[lengths]
    high = words[pieces.starts + 8] & _HIGH_MASKS[lengths] | lengths.astype(np.uint64) << np.uint64(56)
    return low, high


def _hash(low: Keys, high: Keys) -> Numbers:
    mixed = low * _MIX[0] ^ high * _MIX[1]
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIX[2]
    return (mixed >> np.uint64(24)).astype(np.int64)


def grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """The same array, or a copy at least twice as long with zeros behind, where it is shorter than `size`."""
    if size <= len(array):
        return array
    more = np.zeros((max(size, 2 * len(array)) - len(array), *array.shape[1:]), dtype=array.dtype)
    return np.concatenate([array, more])
