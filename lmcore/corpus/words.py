"""Words and their shingles as 64-bit numbers that are the same on every machine and in every process."""

from __future__ import annotations

import re
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

WORD = re.compile(r"\w+")


class Shingler:
    """Turns texts into arrays of shingle hashes; remembers the hash of each word that it met.

    A shingle is a run of words, letter case aside. Numbers count as they are, so that tables and reports that
    differ in nothing but their numbers are not taken for copies.
    """

    def __init__(self, shingle_words: int) -> None:
        self.shingle_words = shingle_words
        self._words: dict[str, int] = {}

    def shingles(self, text: str) -> Hashes:
        """One hash a run of `shingle_words` words, in order, (S,); a shorter text is one run."""
        words = WORD.findall(text.casefold())
        known = self._words
        for word in words:
            if word not in known:
                known[word] = int.from_bytes(blake2b(word.encode("utf-8"), digest_size=8).digest(), "little")
        hashes = np.fromiter((known[word] for word in words), np.uint64, len(words))
        if not len(hashes):
            return hashes
        length = min(self.shingle_words, len(hashes))
        runs = np.zeros(len(hashes) - length + 1, np.uint64)
        for place in range(length):  # mixing after each word makes the order of words count
            runs = mix(runs ^ hashes[place : place + len(runs)])
        return runs

    def shingle_set(self, text: str) -> Hashes:
        """The distinct shingles, sorted, (S,)."""
        return np.unique(self.shingles(text))


def mix(values: Hashes) -> Hashes:
    """Scramble 64-bit numbers one to one (the finaliser of splitmix64, Steele et al. 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def stream(seed: int, length: int) -> Hashes:
    """The first numbers of the splitmix64 sequence of a seed, (length,); no library's generator is asked."""
    steps = np.arange(length, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return mix(steps + np.uint64(seed & 0xFFFFFFFFFFFFFFFF))
