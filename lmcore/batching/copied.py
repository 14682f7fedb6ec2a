"""Which passages of a text stand word for word in the documents of a stream of tokens.

Candidates are found by n-grams of tokens, and judged on words: a passage is copied if at least eight words in
a row are the same, letter case and punctuation included. How a passage is broken into lines does not matter,
unless so many breaks differ that every n-gram has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmcore.batching.ngram_search import NgramSearch, hash_ngrams
from lmcore.batching.shard_index import DocumentSpan
from lmcore.batching.token_shards import TokenShards
from lmcore.tokenizers.tokenizer import Tokenizer

WORDS = 8
"""Words in a row that count as copied (the length at which Carlini et al. 2021 and others begin to look)."""
LONGEST_NGRAM = 12
SLACK = 24
"""Tokens by which a stretch that is looked at is wider than the text: line breaks may be more of them."""
PLACES = 3
"""Of a passage that stands in many places, so many are told."""
_WORD = re.compile(r"\S+")
Ints = NDArray[np.int64]


class Copy(NamedTuple):
    """One place of a passage."""

    document: DocumentSpan
    offset: int
    """Characters of the document's text before it."""


@dataclass(frozen=True)
class Passage:
    """A passage of the text that stands in a document; no longer one around it does."""

    begin: int
    end: int
    """Words of the text."""
    text: str
    occurrences: int
    copies: tuple[Copy, ...]
    """The first places in the order of the stream, three at most."""

    @property
    def num_words(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True)
class Copied:
    """What of a text is copied."""

    num_words: int
    num_copied: int
    """Words inside of any passage."""
    passages: tuple[Passage, ...]
    """The longest first; none within another one."""

    @property
    def share(self) -> float:
        """Of the text's words."""
        return self.num_copied / self.num_words if self.num_words else 0.0


class _Match(NamedTuple):
    """Words `begin` to `end` of the text, found in a stretch at its word `at`."""

    begin: int
    end: int
    stretch: int
    at: int


class _Stretch(NamedTuple):
    """Some tokens of a document, decoded."""

    document: int
    first: int
    """Place of its first token in the stream, and of the one behind its last."""
    last: int
    text: str
    words: list[str]
    skipped: int
    """Words at its beginning that are cut, and left out."""


class CopiedPassages:
    """Looks for passages of texts in one side of a folder of shards."""

    def __init__(self, shards: TokenShards, tokenizer: Tokenizer, side: str = "train") -> None:
        self.shards, self.tokenizer = shards, tokenizer
        self.documents = shards.documents(side)
        self._firsts = np.array([each.first_token for each in self.documents], np.int64)
        # Without the end-of-text token.
        self._ends = self._firsts + np.array([each.num_tokens - 1 for each in self.documents], np.int64)
        self._stream = shards.stream(side)
        dtype = np.dtype(shards.index.dtype).newbyteorder("<")
        files = [shards.folder / entry.file for entry in shards.side(side).shards]
        self._files = [np.asarray(np.memmap(file, dtype=dtype, mode="r")) for file in files]

    def find(self, texts: Sequence[str]) -> list[Copied]:
        """What is copied of each text, in one reading of the stream.

        A text of fewer than eight words has no passage.
        """
        asked = [_Anchors(self.tokenizer, text) for text in texts]
        lengths = [each.shortest for each in asked if each.variants]
        if not lengths:
            return [self._judge(text, []) for text in texts]
        n = max(1, min(*lengths, LONGEST_NGRAM))
        wanted = [each.hashes(n) for each in asked]
        found = list(NgramSearch(np.concatenate(wanted), n).find_in_files(self._files))
        if not found:
            return [self._judge(text, []) for text in texts]
        places, hashes = (np.concatenate(column) for column in zip(*found, strict=True))
        own = [places[np.isin(hashes, each)] for each in wanted]
        return [
            self._judge(text, self._stretches(text, anchors, mine))
            for text, anchors, mine in zip(texts, asked, own, strict=True)
        ]

    def _stretches(self, text: str, anchors: _Anchors, places: Ints) -> list[_Stretch]:
        """What stands around the places of a text's n-grams, each token once.

        Most n-grams stand alone: only where eight words are the same, as much is looked at as the text has.
        """
        words = text.split()
        if not len(places):
            return []
        near = list(self._around(places, places, anchors.width))
        there = [near[match.stretch] for match in _matches(words, near)]
        firsts, lasts = (np.array([each[side] for each in there], np.int64) for side in (1, 2))
        return list(self._around(firsts, lasts, anchors.length))

    def _around(self, firsts: Ints, lasts: Ints, reach: int) -> Iterator[_Stretch]:
        """Stretches that begin so many tokens ahead and end so many behind, within their documents."""
        reach += reach // 4 + SLACK
        numbers = np.searchsorted(self._firsts, firsts, "right") - 1
        begins = np.maximum(firsts - reach, self._firsts[numbers])
        ends = np.minimum(lasts + reach, self._ends[numbers])
        return (self._stretch(*each) for each in _merged(numbers, begins, ends))

    def _stretch(self, number: int, begin: int, end: int) -> _Stretch:
        document = self.documents[number]
        text = self.tokenizer.decode(self._stream.tokens(begin, end - begin).tolist())
        words = text.split()
        is_cut_before, is_cut_behind = begin > document.first_token, end < self._ends[number]
        return _Stretch(
            number, begin, end, text, words[is_cut_before : len(words) - is_cut_behind], int(is_cut_before)
        )

    def _judge(self, text: str, stretches: Sequence[_Stretch]) -> Copied:
        words = text.split()
        matches = list(_matches(words, stretches))
        is_copied = np.zeros(len(words), np.bool_)
        for match in matches:
            is_copied[match.begin : match.end] = True
        passages = tuple(self._passages(text, matches, stretches))
        return Copied(len(words), int(is_copied.sum()), passages)

    def _passages(
        self, text: str, matches: Sequence[_Match], stretches: Sequence[_Stretch]
    ) -> Iterator[Passage]:
        places = [found.span() for found in _WORD.finditer(text)]
        kept: list[tuple[int, int]] = []
        for begin, end in sorted(
            {(m.begin, m.end) for m in matches}, key=lambda each: (each[0] - each[1], each)
        ):
            if any(other[0] <= begin and end <= other[1] for other in kept):
                continue
            kept.append((begin, end))
            around = [match for match in matches if match.begin <= begin and end <= match.end]
            copies = tuple(self._copy(match, begin, stretches[match.stretch]) for match in around[:PLACES])
            yield Passage(begin, end, text[places[begin][0] : places[end - 1][1]], len(around), copies)

    def _copy(self, match: _Match, begin: int, stretch: _Stretch) -> Copy:
        """Where a passage begins in its document's text."""
        document = self.documents[stretch.document]
        word = stretch.skipped + match.at + begin - match.begin
        starts = [found.start() for found in _WORD.finditer(stretch.text)]
        ahead = self._stream.tokens(document.first_token, stretch.first - document.first_token)
        return Copy(document, len(self.tokenizer.decode(ahead.tolist())) + starts[word])


def _merged(numbers: Ints, begins: Ints, ends: Ints) -> Iterator[tuple[int, int, int]]:
    """Stretches (document, begin, end) that do not overlap, in the order of the stream."""
    order = np.lexsort((ends, begins))
    last: tuple[int, int, int] | None = None
    for number, begin, end in zip(
        numbers[order].tolist(), begins[order].tolist(), ends[order].tolist(), strict=True
    ):
        if last and last[0] == number and begin <= last[2]:
            last = (number, last[1], max(last[2], end))
        else:
            if last:
                yield last
            last = (number, begin, end)
    if last:
        yield last


class _Anchors:
    """The n-grams by which a text is looked for: one for each run of eight words.

    Of eight words that are copied, how the first and the last are cut into tokens depends on what stands
    around them; the six between are the same tokens. The n-grams are as long as the fewest such tokens.
    """

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        words = text.split()
        spellings = dict.fromkeys([text.strip(), " ".join(words)]) if len(words) >= WORDS else ()
        self.variants = [_variant(tokenizer, spelling) for spelling in spellings]

    @property
    def shortest(self) -> int:
        """The fewest tokens of six words between two others."""
        return min(int((ends - begins).min()) for _, begins, ends in self.variants)

    @property
    def length(self) -> int:
        """Tokens of the text."""
        return max(len(tokens) for tokens, _, _ in self.variants)

    @property
    def width(self) -> int:
        """The most tokens of six words between two others."""
        return max(int((ends - begins).max()) for _, begins, ends in self.variants)

    def hashes(self, n: int) -> NDArray[np.uint32]:
        """Of the n-grams."""
        found = [hash_ngrams(tokens, n)[begins] for tokens, begins, _ in self.variants]
        return np.concatenate(found) if found else np.zeros(0, np.uint32)


def _variant(tokenizer: Tokenizer, text: str) -> tuple[Ints, Ints, Ints]:
    """The tokens, and for each run of eight words where the tokens of its second to seventh begin and end."""
    tokens = np.array(tokenizer.encode(text), np.int64)
    ends = np.cumsum(tokenizer.token_bytes[tokens])
    spans = [
        (len(text[: found.start()].encode()), len(text[: found.end()].encode()))
        for found in _WORD.finditer(text)
    ] if not text.isascii() else [found.span() for found in _WORD.finditer(text)]  # fmt: skip
    starts, stops = np.array(spans, np.int64).T
    # The token that holds the first byte of a word, and the last token that ends within it.
    first = np.searchsorted(ends, starts, "right")
    last = np.searchsorted(ends, stops, "right")
    runs = len(starts) - WORDS + 1
    begins = first[1 : 1 + runs]
    return tokens, begins, np.maximum(last[WORDS - 2 : WORDS - 2 + runs], begins + 1)


def _matches(words: Sequence[str], stretches: Sequence[_Stretch]) -> Iterator[_Match]:
    """Every run of at least eight words of a text that stands in a stretch and cannot be made longer."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words), start=1)}
    own = np.array([numbers[word] for word in words], np.int64)
    if len(own) < WORDS or not stretches:
        return
    # All stretches in one row, with a word between them that no text has.
    row = np.array([n for each in stretches for n in (*(numbers.get(word, 0) for word in each.words), 0)])
    starts = np.cumsum([0, *(len(each.words) + 1 for each in stretches)])
    for begin, at, length in sorted(_diagonals(own, row), key=lambda each: each[1]):
        stretch = int(np.searchsorted(starts, at, "right")) - 1
        yield _Match(begin, begin + length, stretch, at - int(starts[stretch]))


def _diagonals(own: Ints, row: Ints) -> Iterator[tuple[int, int, int]]:
    """(place in `own`, place in `row`, length) of each longest common run."""
    known: dict[bytes, list[int]] = {}
    for place in range(len(own) - WORDS + 1):
        known.setdefault(own[place : place + WORDS].tobytes(), []).append(place)
    asked = np.unique(_wide_hashes(own))
    candidates = np.flatnonzero(np.isin(_wide_hashes(row), asked))
    open_ones: dict[int, tuple[int, int, int]] = {}  # by how far they are apart: place, place, length
    for at in candidates.tolist():
        for place in known.get(row[at : at + WORDS].tobytes(), ()):
            begun = open_ones.get(at - place)
            if begun and begun[1] + begun[2] - WORDS + 1 == at:
                open_ones[at - place] = (begun[0], begun[1], begun[2] + 1)
            else:
                if begun:
                    yield begun
                open_ones[at - place] = (place, at, WORDS)
    yield from open_ones.values()


def _wide_hashes(numbers: Ints) -> NDArray[np.uint64]:
    """Of each run of eight numbers."""
    count = max(len(numbers) - WORDS + 1, 0)
    hashes = np.zeros(count, np.uint64)
    for place in range(WORDS):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + numbers[place : place + count].astype(np.uint64)
    return hashes
