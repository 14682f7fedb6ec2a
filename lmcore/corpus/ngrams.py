"""The n-grams of evaluation items, and where they stand in documents.

An item that has fewer words than an n-gram is looked for as a whole, as one n-gram of its own length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmcore.corpus.chunks import Chunk
from lmcore.corpus.fingerprints import texts_of
from lmcore.corpus.words import Hashes, Places, Spelling, Words, cut_words, distinct, is_in, run_hashes

SPARSE = 16
"""Cells of the sieve for each n-gram that is looked for."""


class Found(NamedTuple):
    """N-grams in texts, one behind the other."""

    hashes: Hashes
    texts: Places
    begins: Places
    """Characters of the text, from .. to the next word."""
    ends: Places

    def of(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Found:
        """Some of them."""
        return Found(self.hashes[which], self.texts[which], self.begins[which], self.ends[which])

    @staticmethod
    def join(parts: Sequence[Found]) -> Found:
        """All of them."""
        none = np.zeros(0, np.int64)
        parts = [Found(np.zeros(0, np.uint64), none, none, none), *parts]
        return Found(
            np.concatenate([part.hashes for part in parts]),
            np.concatenate([part.texts for part in parts]),
            np.concatenate([part.begins for part in parts]),
            np.concatenate([part.ends for part in parts]),
        )


@dataclass(frozen=True)
class Ngrams:
    """What is looked for."""

    by_length: dict[int, Hashes]
    """Words of an n-gram -> its hashes, sorted."""

    @classmethod
    def load(cls, file: Path) -> Ngrams:
        with np.load(file) as arrays:
            return cls({int(name): arrays[name] for name in arrays.files})

    def save(self, file: Path) -> None:
        arrays: dict[str, Any] = {str(length): hashes for length, hashes in self.by_length.items()}
        np.savez(file, **arrays)

    @property
    def digest(self) -> str:
        """Names what is looked for."""
        state = sha256()
        for length, hashes in sorted(self.by_length.items()):
            state.update(f"{length} {len(hashes)} ".encode() + hashes.tobytes())
        return state.hexdigest()

    @cached_property
    def _sieves(self) -> dict[int, NDArray[np.bool_]]:
        return {length: _sieve(hashes) for length, hashes in self.by_length.items()}

    def find(self, texts: Sequence[str]) -> Found:
        """Every place where one of them stands."""
        words = cut_words(texts)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        return Found.join([self._find(words, lengths, length) for length in sorted(self.by_length)])

    def _find(self, words: Words, lengths: Places, length: int) -> Found:
        runs, firsts = run_hashes(words, length)
        sieve, listed = self._sieves[length], self.by_length[length]
        passed = np.flatnonzero(sieve[_cells(runs, len(sieve))])
        places = passed[is_in(runs[passed], listed)]
        texts = np.searchsorted(firsts, places, side="right") - 1
        first = words.firsts[texts] + places - firsts[texts]
        behind = first + length
        ends = lengths[texts].copy()
        goes_on = behind < words.firsts[texts + 1]
        ends[goes_on] = words.begins[behind[goes_on]]
        return Found(runs[places], texts, words.begins[first], ends)


def _sieve(hashes: Hashes) -> NDArray[np.bool_]:
    """Lets pass what may be among the hashes; small enough to stay near the processor."""
    sieve = np.zeros(1 << (SPARSE * len(hashes)).bit_length(), np.bool_)
    sieve[_cells(hashes, len(sieve))] = True
    return sieve


def _cells(hashes: Hashes, size: int) -> NDArray[np.int64]:
    return (hashes & np.uint64(size - 1)).astype(np.int64)


@dataclass(frozen=True)
class Items:
    """The n-grams of evaluation items."""

    texts: Sequence[str]
    found: Found
    """Each n-gram of an item once, where it stands first in it."""
    too_short: int
    """Items that are not looked for."""
    ngrams: Ngrams

    @classmethod
    def of(cls, texts: Sequence[str], ngram_words: int, min_item_words: int) -> Items:
        """The n-grams of each item; of one with fewer words, the whole."""
        words = cut_words(texts)
        sizes = np.minimum(words.counts, ngram_words)
        sizes[sizes < min_item_words] = 0
        by_length = {}
        for length in distinct(sizes[sizes > 0]).tolist():
            runs, firsts = run_hashes(words, length)
            own = np.repeat(sizes == length, np.diff(firsts))
            by_length[length] = distinct(runs[own])
        ngrams = Ngrams(by_length)
        found = _once(ngrams.find(texts))
        # A short item may stand in a longer one; that is no n-gram of the longer one.
        is_own = np.zeros(len(found.hashes), np.bool_)
        for length, hashes in by_length.items():
            is_own |= (sizes[found.texts] == length) & is_in(found.hashes, hashes)
        return cls(texts, found.of(is_own), int((sizes == 0).sum()), ngrams)

    @cached_property
    def totals(self) -> Places:
        """N-grams of each item, (N,)."""
        return np.bincount(self.found.texts, minlength=len(self.texts))


def _once(found: Found) -> Found:
    """Of an n-gram that stands in a text more than once, the first place."""
    order = np.lexsort((found.begins, found.hashes, found.texts))
    hashes, texts = found.hashes[order], found.texts[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (hashes[1:] != hashes[:-1]) | (texts[1:] != texts[:-1])
    return found.of(order[is_first])


def spelt(texts: Sequence[str], found: Found) -> list[bytes]:
    """Digests of the words themselves."""
    spellings: dict[int, Spelling] = {}
    digests = []
    for text, begin, end in zip(
        found.texts.tolist(), found.begins.tolist(), found.ends.tolist(), strict=True
    ):
        if text not in spellings:
            spellings[text] = Spelling(texts[text])
        digests.append(sha256(spellings[text].between(begin, end)).digest())
    return digests


def write_found(folder: Path, chunk: Chunk, ngrams: Path) -> None:
    """Write which n-grams the documents of a chunk hold; of each in a document, the first place."""
    wanted = Ngrams.load(ngrams)
    parts: list[Found] = []
    digests: list[bytes] = []
    seen = 0
    for texts in texts_of(chunk):
        found = _once(wanted.find(texts))
        digests += spelt(texts, found)
        parts.append(found._replace(texts=found.texts + seen))
        seen += len(texts)
    for name, column in Found.join(parts)._asdict().items():
        np.save(folder / f"{name}.npy", column)
    np.save(folder / "digests.npy", np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32))
