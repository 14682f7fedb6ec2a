"""The words that ROUGE counts.

`ascii` is what the `rouge-score` package does: runs of a-z and 0-9 after lower-casing, so that a text in
another script has no words and every score of it is 0. `unicode` takes runs of letters, marks and digits of
any script, and single letters where a script sets no spaces between words.
"""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import Literal
from unicodedata import category, normalize

Tokenizer = Literal["ascii", "unicode"]

UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Code points of scripts that set no spaces between words: each letter, with its marks, is a word."""
STEMMED_FROM = 4
"""rouge-score leaves words of three letters and fewer as they are."""


class Stems(dict[str, str]):
    """The stem of every word asked for, worked out once, by Porter's stemmer with NLTK's extensions to it."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        super().__init__()
        self._stemmer = PorterStemmer()

    def __missing__(self, word: str) -> str:
        stem = self[word] = self._stemmer.stem(word) if len(word) >= STEMMED_FROM else word
        return stem


def find_words(tokenizer: Tokenizer) -> Callable[[str], list[str]]:
    """A function from a text to its words, in order."""
    if tokenizer == "ascii":
        # In UTF-8 no byte of another letter looks like ASCII, so bytes can be told apart one by one.
        return lambda text: text.lower().encode("utf-8", "replace").translate(_ASCII_WORDS).decode().split()
    find_any = _word_pattern().findall
    return lambda text: find_any(normalize("NFKC", text).casefold())


_ASCII_WORDS = bytes(
    code if chr(code) in string.ascii_lowercase + string.digits else 32 for code in range(256)
)


@cache
def _word_pattern() -> re.Pattern[str]:
    """Python's \\w knows no combining marks, without which words of many scripts fall apart."""
    every = "".join(map(chr, chain(range(0xD800), range(0xE000, sys.maxunicode + 1))))
    alone = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)
    letters = _ranges(re.findall(f"(?:(?![{alone}])[^\\W_])+", every))
    letters_alone = _ranges(re.findall(f"(?:(?=[{alone}])[^\\W_])+", every))
    marks = _ranges(
        [mark for mark in chain(every[:0x20000], every[0xDF900:0xDFB00]) if category(mark)[0] == "M"]
    )
    return re.compile(f"[{letters}][{letters}{marks}]*|[{letters_alone}][{marks}]*")


def _ranges(runs: list[str]) -> str:
    """Runs of neighbouring letters as the inside of a character class."""
    return "".join(f"{run[0]}-{run[-1]}" for run in runs)
