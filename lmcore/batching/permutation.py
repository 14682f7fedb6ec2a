"""A seeded order of 0 .. length-1 that is computed, never stored, and the same with every library version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.uint64]
NUM_ROUNDS = 6
BLOCK = 16_384
"""Elements that are computed at one time; one alone costs nearly as much as all of them."""


def stable_hash(*parts: int | str) -> int:
    """64 bits that depend on the parts alone, on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little")


class Permutation:
    """A bijection of range(length): a Feistel network on the next even number of bits, walked into range.

    Applied to any positions in any order at the cost of a few multiplications each (Black & Rogaway 2002,
    cycle walking; rounds mixed by splitmix64).
    """

    def __init__(self, length: int, *key: int | str) -> None:
        if length < 1:
            raise ValueError(f"a permutation of {length} elements; it needs at least 1")
        self.length = length
        self.half_bits = max(1, ((length - 1).bit_length() + 1) // 2)
        self.round_keys = [np.uint64(stable_hash("feistel", number, *key)) for number in range(NUM_ROUNDS)]

    def __call__(self, positions: NDArray[Any]) -> NDArray[np.int64]:
        """The elements at these positions, each in range(length)."""
        elements = self._encrypt(np.asarray(positions).astype(np.uint64))
        outside = np.flatnonzero(elements >= self.length)
        while len(outside):
            walked = self._encrypt(elements[outside])
            elements[outside] = walked
            outside = outside[walked >= self.length]
        return elements.astype(np.int64)

    def _encrypt(self, elements: Integers) -> Integers:
        shift, mask = np.uint64(self.half_bits), np.uint64((1 << self.half_bits) - 1)
        left, right = elements >> shift, elements & mask
        for key in self.round_keys:
            mixed = _mix(right ^ key)
            mixed &= mask
            mixed ^= left
            left, right = right, mixed
        return left << shift | right


def _mix(x: Integers) -> Integers:
    """Change x into splitmix64's finaliser of it (Steele, Lea & Flood 2014): every bit reaches every bit."""
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


class EpochOrder:
    """0 .. length-1 over and over, in each epoch in another seeded order."""

    def __init__(self, length: int, name: str, seed: int) -> None:
        self.length, self.name, self.seed = length, name, seed
        self._block = lru_cache(maxsize=2)(self._compute)  # neighbours may ask for parts of two

    def stretches(self, first: int, count: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The elements at `count` places of the run from `first` on; each stretch with its epoch."""
        end = first + count
        while first < end:
            epoch, position = divmod(first, self.length)
            begin = position % BLOCK
            elements = self._block(epoch, position - begin)[begin : begin + end - first]
            yield epoch, elements
            first += len(elements)

    def _compute(self, epoch: int, position: int) -> NDArray[np.int64]:
        """The elements at a position of an epoch and after it, at most BLOCK of them."""
        positions = np.arange(position, min(position + BLOCK, self.length))
        return Permutation(self.length, self.name, self.seed, epoch)(positions)
