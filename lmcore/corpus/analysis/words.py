"""Words as analyses count them: runs of letters, digits and `_` in lower case; texts as their numbers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PATTERN = r"(?u)\w+"
_WORDS = re.compile(PATTERN)


def words_of(text: str) -> list[str]:
    """Its words, in order."""
    return _WORDS.findall(text.lower())


@dataclass(frozen=True)
class NumberedTexts:
    """Texts as numbers of words, without the words that are too rare."""

    words: list[str]
    """(V,), the commonest first, of equally common ones in the order of their letters."""
    counts: NDArray[np.int64]
    """(V,): how often each occurs."""
    tokens: NDArray[np.int32]
    """(N,): words by number, one text behind the other."""
    texts: NDArray[np.int32]
    """(N,): which text each token stands in."""


def number_words(texts: Iterable[str], min_count: int = 1) -> NumberedTexts:
    """Number the words that occur `min_count` times or more."""
    known: defaultdict[str, int] = defaultdict()
    known.default_factory = known.__len__  # a new word has the next number
    parts = [np.array([known[word] for word in words_of(text)], np.int32) for text in texts]
    tokens = np.concatenate([np.zeros(0, np.int32), *parts])
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    places = np.repeat(np.arange(len(parts), dtype=np.int32), lengths)
    counts = np.bincount(tokens, minlength=len(known))
    spelled = list(known)
    kept = sorted((-count, spelled[n], n) for n, count in enumerate(counts.tolist()) if count >= min_count)
    numbers = np.full(len(spelled), -1, np.int32)
    numbers[[n for *_, n in kept]] = np.arange(len(kept))
    tokens = numbers[tokens]
    is_known = tokens >= 0
    kept_counts = np.array([-count for count, *_ in kept], np.int64)
    return NumberedTexts([word for _, word, _ in kept], kept_counts, tokens[is_known], places[is_known])
