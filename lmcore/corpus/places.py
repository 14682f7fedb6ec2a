"""Where in its source file a passage of a clean text stands.

Between file and text lie a reader and cleaners: lines were joined, records unpacked, words masked. Most words
are still the same, so the place is where those around it stand in the file, nearest to where it should be.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

AROUND = (12, 9, 7, 5, 4, 3)
"""How many words are looked for, the most first: more words stand in fewer places."""
_WORD = re.compile(r"\w+")


class Place(NamedTuple):
    """A line of a file, from 1."""

    line: int
    is_exact: bool
    """Whether the words were found there; otherwise it is the document's first line."""


class Lines:
    """The words of a file's lines, from the first line of a document to its end."""

    def __init__(self, lines: Sequence[str], first: int) -> None:
        """`lines` are those of the document, the first of them being number `first` of the file."""
        self.first = first
        self.words: list[str] = []
        self._ends: list[int] = []
        self._places: dict[str, list[int]] = {}
        for line in lines:
            self.words += words_of(line)
            self._ends.append(len(self.words))
        for number, word in enumerate(self.words):
            self._places.setdefault(word, []).append(number)

    def line_of(self, word: int) -> int:
        """The number of the line that a word stands in."""
        return self.first + bisect_right(self._ends, word)

    def find(self, text: str, offset: int) -> Place:
        """The line of the word at (or behind) an offset of the clean text."""
        words, at = words_of(text), len(words_of(_begun(text, offset)))
        if not words:
            return Place(self.first, False)
        at = min(at, len(words) - 1)
        expected = at * len(self.words) / len(words)
        for around in AROUND:
            if found := self._nearest(words, at, min(around, len(words)), expected):
                return Place(self.line_of(found[0]), True)
        return Place(self.first, False)

    def _nearest(self, words: list[str], at: int, around: int, expected: float) -> list[int]:
        """Where the word stands, by some window of so many words around it; empty if no window is found."""
        for before in sorted(range(around), key=lambda each: abs(each - around // 2)):
            begin = at - before
            if begin < 0 or begin + around > len(words):
                continue
            window = words[begin : begin + around]
            starts = [
                start for start in self._places.get(window[0], ())
                if self.words[start : start + around] == window
            ]  # fmt: skip
            if starts:
                return [min(starts, key=lambda start: abs(start + before - expected)) + before]
        return []


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, letter case and Unicode form aside."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _begun(text: str, offset: int) -> str:
    """The text before the word that an offset is in."""
    while offset > 0 and _WORD.fullmatch(text[offset - 1 : offset + 1]) and offset < len(text):
        offset -= 1
    return text[:offset]
