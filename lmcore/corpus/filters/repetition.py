"""Says the same again and again: the repetition rules of Gopher (Rae et al. 2021, table A1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmcore.corpus.filters import Rejection, filters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ranks = NDArray[np.int64]


@filters.register
def repetition(
    text: str,
    *,
    duplicate_paragraphs_share: float = 0.30,
    duplicate_paragraph_characters_share: float = 0.20,
    duplicate_lines_share: float = 0.30,
    duplicate_line_characters_share: float = 0.20,
    top_ngram_characters_shares: tuple[float, ...] = (0.20, 0.18, 0.16),
    duplicate_ngram_characters_shares: tuple[float, ...] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10),
) -> Rejection | None:
    """Keep documents in which repeated paragraphs, lines and word n-grams stay below a share.

    The two lists hold a share for n = 2, 3, ... words and for n = 5, 6, ... words; a shorter list leaves out
    the longer n. Shares of characters are shares of the whole text. A top n-gram counts as often as it
    occurs, with the spaces between its words; repeated n-grams count without spaces, from their second
    occurrence on, and do not overlap. datatrove's filter defines it so; words stand between white space.
    Other than there, an n-gram that occurs once repeats nothing: no text is rejected here for being short.
    """
    tops = dict(enumerate(top_ngram_characters_shares, start=2))
    repeats = dict(enumerate(duplicate_ngram_characters_shares, start=5))
    limits = {
        "duplicate_paragraphs_share": duplicate_paragraphs_share,
        "duplicate_paragraph_characters_share": duplicate_paragraph_characters_share,
        "duplicate_lines_share": duplicate_lines_share,
        "duplicate_line_characters_share": duplicate_line_characters_share,
        **{f"top_{n}gram_characters_share": share for n, share in tops.items()},
        **{f"duplicate_{n}gram_characters_share": share for n, share in repeats.items()},
    }
    for rule, value in _measures(text, list(tops), list(repeats)):
        if value > limits[rule]:
            return Rejection(rule, value, limits[rule])
    return None


def _measures(text: str, tops: list[int], repeats: list[int]) -> Iterator[tuple[str, float]]:
    """Every rule's value, cheap rules first, so that the caller may stop early."""
    stripped = text.strip()
    if not stripped:
        return
    for name, separator in (("paragraph", r"\n{2,}"), ("line", r"\n+")):
        parts = re.split(separator, stripped)
        num_repeated, repeated_characters = _repeated(parts)
        yield f"duplicate_{name}s_share", num_repeated / len(parts)
        yield f"duplicate_{name}_characters_share", repeated_characters / len(text)
    ngrams = _NGrams(stripped.split(), max([*tops, *repeats], default=0))
    for n in tops:
        yield f"top_{n}gram_characters_share", ngrams.top_characters(n) / len(text)
    for n in repeats:
        yield f"duplicate_{n}gram_characters_share", ngrams.duplicate_characters(n) / len(text)


def _repeated(parts: list[str]) -> tuple[int, int]:
    """How many parts occurred before, and their characters."""
    seen: set[str] = set()
    num_repeated = characters = 0
    for part in parts:
        if part in seen:
            num_repeated += 1
            characters += len(part)
        seen.add(part)
    return num_repeated, characters


class _NGrams:
    """The n-grams of a word list as exact ranks: equal ranks mean equal words, at every n."""

    def __init__(self, words: list[str], longest: int) -> None:
        import numpy as np

        vocabulary = {word: rank for rank, word in enumerate(dict.fromkeys(words))}
        first = np.fromiter((vocabulary[word] for word in words), np.int64, len(words))
        lengths = np.fromiter((len(word) for word in words), np.int64, len(words))
        self._ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        self._ranks: dict[int, Ranks] = {1: first}
        for n in range(2, min(longest, len(words)) + 1):
            # A pair (rank of the first n-1 words, last word) as one number, then numbered anew from 0.
            pairs = self._ranks[n - 1][:-1] * len(vocabulary) + first[n - 1 :]
            self._ranks[n] = np.unique(pairs, return_inverse=True)[1]

    def _characters(self, start: int, n: int) -> int:
        return int(self._ends[start + n] - self._ends[start])

    def top_characters(self, n: int) -> int:
        """Characters of all occurrences of the commonest n-gram, spaces included; the first wins a tie."""
        import numpy as np

        if n not in self._ranks or not len(self._ranks[n]):
            return 0
        counts = np.bincount(self._ranks[n])
        if counts.max() < 2:
            return 0
        start = int(np.argmax(counts[self._ranks[n]]))
        return (self._characters(start, n) + n - 1) * int(counts.max())

    def duplicate_characters(self, n: int) -> int:
        """Characters of n-grams that occurred before, left to right, without overlap."""
        import numpy as np

        if n not in self._ranks:
            return 0
        ranks = self._ranks[n]
        seen: set[int] = set()
        characters = free = 0
        for start in np.flatnonzero(np.bincount(ranks)[ranks] > 1).tolist():
            if start < free:
                continue
            if (rank := int(ranks[start])) in seen:
                characters += self._characters(start, n)
                free = start + n
            else:
                seen.add(rank)
        return characters
