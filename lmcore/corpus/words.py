"""Words and runs of words as 64-bit numbers that are the same on every machine and in every process.

A word is a run of letters, digits and the marks on them, letter case aside; of scripts that put no space
between words, each letter is a word. Nothing is done word by word in Python: a block of text is an array of
code points, and a word's number is a difference of two running sums over it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]
Number = TypeVar("Number", bound=np.integer[Any])

BLOCK = 1 << 15
"""Characters looked at together, few enough that their arrays stay in the processor's cache. A word that is
longer than this is cut."""
_BASE = 0x9FB21C651E98DF25
"""Odd: its powers have inverses modulo 2^64."""
_SEPARATOR, _LETTER, _WORD, _MARK = range(4)
SPACELESS = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF),
)  # fmt: skip
"""Thai and Lao, Burmese, Khmer, kana, Han."""
_LAST_CASED = 0x1FFFF
"""Beyond it no letter has two cases, and no mark stands on letters."""


@dataclass(frozen=True)
class Words:
    """The words of some texts, one text behind the other."""

    hashes: Hashes
    """(W,), none of them 0: equal words have equal hashes."""
    begins: Places
    """(W,): where each begins, counted in characters from the start of its text."""
    firsts: Places
    """(N + 1,): the words of text n are those from `firsts[n]` up to `firsts[n + 1]`."""

    @property
    def counts(self) -> Places:
        """Words of each text, (N,)."""
        return np.diff(self.firsts)


class Runs(NamedTuple):
    """Runs of neighbouring words of some texts."""

    hashes: Hashes
    """(R,)"""
    firsts: Places
    """(N + 1,): the runs of text n are those from `firsts[n]` up to `firsts[n + 1]`."""


def cut_words(texts: Sequence[str]) -> Words:
    """The words of each text; how texts are grouped changes nothing."""
    hashes, begins, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], []
    waiting: list[str] = []
    size = 0
    for text in texts:
        if size + len(text) > BLOCK and waiting:
            counts += _cut_block(waiting, hashes, begins)
            waiting, size = [], 0
        if len(text) > BLOCK:
            counts.append(_cut_long(text, hashes, begins))
        else:
            waiting.append(text)
            size += len(text) + 1
    counts += _cut_block(waiting, hashes, begins)
    return Words(np.concatenate(hashes), np.concatenate(begins), _firsts(np.array(counts, np.int64)))


def _cut_long(text: str, hashes: list[Hashes], begins: list[Places]) -> int:
    count = start = 0
    while start < len(text):
        end = start + BLOCK
        if end < len(text):
            space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
            end = space + 1 if space > start else end
        count += sum(_cut_block([text[start:end]], hashes, begins))
        begins[-1] += start
        start = end
    return count


def _cut_block(texts: Sequence[str], hashes: list[Hashes], begins: list[Places]) -> list[int]:
    """Append the words of some short texts; returns how many each has."""
    if not texts:
        return []
    joined = "\n".join(texts) + "\n"
    table = _table()
    if is_ascii := joined.isascii():
        letters = np.frombuffer(joined.encode("ascii"), np.uint8)
    else:
        letters = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
    powers, inverses = _powers(len(letters))
    sums = np.zeros(len(letters) + 1, np.uint64)
    values = table.values[letters]
    is_word = values != 0
    np.multiply(values, powers, out=values)
    np.cumsum(values, out=sums[1:])
    is_begin = is_word.copy()
    if is_ascii:
        is_begin[1:] &= ~is_word[:-1]
    else:
        kinds = table.kinds[letters]
        before, here = kinds[:-1], kinds[1:]
        is_begin[1:] &= (before == _SEPARATOR) | (here == _WORD) | ((before == _WORD) & (here == _LETTER))
    starts = np.flatnonzero(is_begin)
    at_starts = sums[np.append(starts, len(letters))]
    hashes.append(mix((at_starts[1:] - at_starts[:-1]) * inverses[starts]) | np.uint64(1))
    lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
    text_starts = np.cumsum(lengths) - lengths
    counts = np.diff(np.append(np.searchsorted(starts, text_starts), len(starts)))
    begins.append(starts - np.repeat(text_starts, counts))
    return counts.tolist()


def run_hashes(words: Words, length: int, *, pad: bool = False) -> Runs:
    """One hash for each run of `length` words within a text, in order.

    Args:
        pad: a text of fewer words, but one at least, is one run; else it has none.
    """
    hashes, counts = words.hashes, words.counts
    if pad and ((counts > 0) & (counts < length)).any():
        hashes, counts = _padded(words, length)
    runs = np.zeros(max(len(hashes) - length + 1, 0), np.uint64)
    if len(runs):
        sums = np.zeros(len(hashes) + 1, np.uint64)
        powers, inverses = _powers(len(hashes))
        np.cumsum(hashes * powers[: len(hashes)], out=sums[1:])
        runs = mix((sums[length:] - sums[:-length]) * inverses[: len(runs)])
    numbers = np.maximum(counts - length + 1, 0)
    if len(counts) != 1:
        runs = runs[in_ranges(np.cumsum(counts) - counts, numbers)]
    return Runs(runs, _firsts(numbers))


def _padded(words: Words, length: int) -> tuple[Hashes, Places]:
    """The words, short texts filled up with zeros to one run."""
    counts = words.counts
    longer = np.where(counts > 0, np.maximum(counts, length), 0)
    hashes = np.zeros(int(longer.sum()), np.uint64)
    hashes[in_ranges(np.cumsum(longer) - longer, counts)] = words.hashes
    return hashes, longer


def in_ranges(starts: Places, lengths: Places) -> Places:
    """The numbers of all ranges, (sum of lengths,), one range behind the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)


def _firsts(counts: Places) -> Places:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def distinct(numbers: NDArray[Number]) -> NDArray[Number]:
    """Each once, sorted; four times as fast as `np.unique`, which builds a hash table."""
    numbers = np.sort(numbers)
    return numbers[np.append(True, numbers[1:] != numbers[:-1])] if len(numbers) else numbers


def is_in(numbers: NDArray[Number], listed: NDArray[Number]) -> NDArray[np.bool_]:
    """Whether each stands in a sorted list; `np.isin` builds a hash table of it each time."""
    if not len(listed):
        return np.zeros(len(numbers), np.bool_)
    return listed[np.minimum(np.searchsorted(listed, numbers), len(listed) - 1)] == numbers


class Shingler:
    """The runs of `shingle_words` words of a text; a shorter text is one run."""

    def __init__(self, shingle_words: int) -> None:
        self.shingle_words = shingle_words

    def shingles(self, text: str) -> Hashes:
        """One hash a run, in order, (S,)."""
        return run_hashes(cut_words([text]), self.shingle_words, pad=True).hashes

    def shingle_set(self, text: str) -> Hashes:
        """The distinct shingles, sorted, (S,)."""
        return distinct(self.shingles(text))


class Spelling:
    """The words of a text themselves, written so that equal bytes are equal words: what hashes stand for."""

    def __init__(self, text: str) -> None:
        table, letters = _table(), np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
        spelt = table.folded[letters]
        spelt[cut_words([text]).begins] |= np.uint32(1 << 31)
        is_spelt = table.kinds[letters] != _SEPARATOR
        self._letters = spelt[is_spelt]
        self._before = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_spelt)])

    def between(self, begin: int, end: int) -> bytes:
        """The words from one character of the text up to another."""
        return self._letters[self._before[begin] : self._before[end]].tobytes()


class _Table(NamedTuple):
    """What is known of each code point."""

    values: Hashes
    """Equal for the two cases of a letter; 0 for what is no part of a word."""
    kinds: NDArray[np.uint8]
    folded: NDArray[np.uint32]
    """The small letter of each."""


@cache
def _table() -> _Table:
    points = np.arange(0x110000, dtype=np.uint32)
    kinds = np.where(np.strings.isalnum(points.view("U1")), _LETTER, _SEPARATOR).astype(np.uint8)
    folded = points.copy()
    for point in range(_LAST_CASED + 1):
        letter = chr(point)
        if unicodedata.category(letter)[0] == "M":
            kinds[point] = _MARK
        for other in (letter.casefold(), letter.lower()):
            if other != letter and len(other) == 1:
                folded[point] = ord(other)
                break
    for first, last in SPACELESS:
        part = kinds[first : last + 1]
        part[part == _LETTER] = _WORD
    values = np.where(kinds != _SEPARATOR, mix(folded.astype(np.uint64)) | np.uint64(1), np.uint64(0))
    return _Table(values, kinds, folded)


_known_powers: list[tuple[Hashes, Hashes]] = []


def _powers(length: int) -> tuple[Hashes, Hashes]:
    """The powers of the base from 0 on, and their inverses modulo 2^64, `length` of each."""
    if not _known_powers or len(_known_powers[0][0]) < length:
        size = 1 << max(length, BLOCK).bit_length()
        both = [np.full(size, base, np.uint64) for base in (_BASE, pow(_BASE, -1, 1 << 64))]
        for base in both:
            base[0] = 1
            np.multiply.accumulate(base, out=base)
        _known_powers[:] = [(both[0], both[1])]
    powers, inverses = _known_powers[0]
    return powers[:length], inverses[:length]


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
