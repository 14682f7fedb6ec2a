"""Passages of many words that stand in several places: found by landmarks, then by every window of words.

Of each stretch of `min_words` words at least one landmark is kept, chosen by the words alone (winnowing,
Schleimer et al. 2003). Two places with the same stretch have the same landmark there, so only where a
landmark comes twice are all windows looked at. Words are counted without those that have been cut already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmcore.corpus.chunks import Chunk
from lmcore.corpus.fingerprints import texts_of
from lmcore.corpus.words import Hashes, Places, Spelling, Words, cut_words, in_ranges, is_in, run_hashes

Spans = Sequence[tuple[int, int]]
"""Words from .. to, ascending, apart."""


class Stretch(NamedTuple):
    """A number of words that are left, from the n-th that is left on."""

    first: int
    num_words: int


def write_landmarks(folder: Path, chunk: Chunk, cuts: Mapping[int, Spans], min_words: int) -> None:
    """Write the landmarks of a chunk's documents into a folder, and how long each document is.

    Args:
        cuts: for some of its rows, counted from the chunk's first, the words that are cut.
    """
    lengths: list[int] = []
    counts, values, numbers = ([np.zeros(0, np.int64)], [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)])
    for texts in texts_of(chunk):
        words = _left(cut_words(texts), cuts, len(lengths))
        lengths += map(len, texts)
        found, per_text = _landmarks(words, min_words)
        counts.append(words.counts)
        values.append(found)
        numbers.append(per_text)
    np.save(folder / "lengths.npy", np.array(lengths, np.int64))
    np.save(folder / "counts.npy", np.concatenate(counts))
    np.save(folder / "values.npy", np.concatenate(values))
    np.save(folder / "numbers.npy", np.concatenate(numbers))


def write_windows(
    folder: Path,
    chunk: Chunk,
    rows: Sequence[int],
    cuts: Mapping[int, Spans],
    landmarks: Path,
    min_words: int,
) -> None:
    """Write the windows of some documents that hold a landmark of the list: hash, row, first word."""
    wanted, listed = set(rows), np.load(landmarks, mmap_mode="r")
    hashes, at_rows, firsts = ([np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)])
    seen = 0
    for texts in texts_of(chunk):
        own = [row for row in range(seen, seen + len(texts)) if row in wanted]
        words = cut_words([texts[row - seen] for row in own])
        words = _left(words, {place: cuts[row] for place, row in enumerate(own) if row in cuts}, 0)
        seen += len(texts)
        found, places, row_numbers = _windows(words, listed, min_words)
        hashes.append(found)
        firsts.append(places)
        at_rows.append(chunk.first + np.array(own, np.int64)[row_numbers])
    np.save(folder / "hashes.npy", np.concatenate(hashes))
    np.save(folder / "rows.npy", np.concatenate(at_rows))
    np.save(folder / "firsts.npy", np.concatenate(firsts))


def write_places(
    folder: Path, chunk: Chunk, stretches: Mapping[int, Sequence[Stretch]], cuts: Mapping[int, Spans]
) -> None:
    """Write where stretches of words stand in the texts of a chunk, and a digest of the words themselves.

    `places.npy`, a row a stretch: its first word, the one behind its last, both counted with those that are
    cut; its characters from .. to, with the punctuation that hangs on it; the character at its first word.
    """
    places, digests, seen = [], [], 0
    for texts in texts_of(chunk):
        for row, text in enumerate(texts, start=seen):
            if row not in stretches:
                continue
            words, spelling = cut_words([text]), Spelling(text)
            left = _left(words, {0: cuts[row]} if row in cuts else {}, 0, is_numbered=True).begins
            for first, num_words in stretches[row]:
                begin, end = int(left[first]), int(left[first + num_words - 1]) + 1
                from_, to = _characters(text, words.begins, begin, end)
                at = int(words.begins[begin])
                places.append((begin, end, from_, to, at))
                digests.append(sha256(spelling.between(at, to)).digest())
        seen += len(texts)
    np.save(folder / "places.npy", np.array(places, np.int64).reshape(-1, 5))
    np.save(folder / "digests.npy", np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32))


def _left(words: Words, cuts: Mapping[int, Spans], first: int, *, is_numbered: bool = False) -> Words:
    """The words that are not cut; `is_numbered` gives their numbers in the whole text for their characters.

    Args:
        cuts: by text; the first of `words` has the number `first`.
    """
    stays = np.ones(len(words.hashes), np.bool_)
    for text in range(len(words.counts)):
        for begin, end in cuts.get(first + text, ()):
            stays[words.firsts[text] + begin : words.firsts[text] + end] = False
    firsts = np.concatenate([np.zeros(1, np.int64), np.cumsum(stays)])[words.firsts]
    begins = in_ranges(np.zeros(len(words.counts), np.int64), words.counts) if is_numbered else words.begins
    return Words(words.hashes[stays], begins[stays], firsts)


def _landmarks(words: Words, min_words: int) -> tuple[Hashes, Places]:
    """The landmarks of some texts, in order, and how many each text has."""
    length, width = _sizes(min_words)
    runs, firsts = run_hashes(words, length)
    per_text = np.maximum(np.diff(firsts) - width + 1, 0)
    if not per_text.any():
        return np.zeros(0, np.uint64), per_text
    lowest = _sliding(np.minimum, runs, width)
    starts = in_ranges(firsts[:-1], per_text)  # stretches that lie within one text
    bounds = np.zeros(len(runs), np.uint64)
    bounds[starts] = lowest[starts]
    # A run is a landmark if it is the lowest of any stretch that it lies in; of equals, all are.
    before = np.concatenate([np.zeros(width - 1, np.uint64), bounds])
    is_landmark = _sliding(np.maximum, before, width) == runs
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_landmark)])
    return runs[is_landmark], np.diff(sums[firsts])


def _windows(words: Words, listed: Hashes, min_words: int) -> tuple[Hashes, Places, Places]:
    """Hash, first word and text of each window in which a listed landmark stands."""
    length, width = _sizes(min_words)
    runs, _ = run_hashes(words, length)
    is_listed = np.zeros(len(words.hashes) + 1, np.bool_)  # by the word that a run begins with
    begins = in_ranges(words.firsts[:-1], np.maximum(words.counts - length + 1, 0))
    is_listed[begins] = is_in(runs, listed)
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_listed)])
    windows, firsts = run_hashes(words, min_words)
    numbers = np.diff(firsts)
    starts = in_ranges(words.firsts[:-1], numbers)
    holds = sums[starts + width] > sums[starts]
    texts = np.repeat(np.arange(len(numbers)), numbers)[holds]
    return windows[holds], starts[holds] - words.firsts[texts], texts


def _sizes(min_words: int) -> tuple[int, int]:
    """Words of a landmark, and how many that begin at neighbouring words make up `min_words` words."""
    length = min_words // 2
    return length, min_words - length + 1


def _sliding(choose: np.ufunc, values: Hashes, width: int) -> Hashes:
    """The lowest, or highest, of each `width` neighbours, (N - width + 1,), by doubling."""
    done = 1
    while done < width:
        step = min(done, width - done)
        values = choose(values[:-step], values[step:])
        done += step
    return values


_SPACE = re.compile(r"\s")


def _characters(text: str, begins: Places, first: int, end: int) -> tuple[int, int]:
    """Where words `first` up to `end` stand, with what hangs on them and on no other word."""
    at, last = int(begins[first]), int(begins[end - 1])
    before = text[int(begins[first - 1]) if first else 0 : at]
    hanging = len(_SPACE.split(before)[-1]) if _SPACE.search(before) or not first else 0
    tail = text[last : int(begins[end]) if end < len(begins) else len(text)]
    space = _SPACE.search(tail)
    return at - hanging, last + (space.start() if space else len(tail))
