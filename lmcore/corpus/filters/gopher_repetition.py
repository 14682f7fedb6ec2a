"""Says the same again and again: the repetition rules of Gopher (Rae et al. 2021, table A1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmcore.corpus.filters import Signals, filters
from lmcore.corpus.text import Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

TOPS, REPEATS = range(2, 5), range(5, 11)


@filters.register
def gopher_repetition(
    text: Text,
    *,
    max_duplicate_paragraphs_share: float | None = 0.30,
    max_duplicate_paragraph_characters_share: float | None = 0.20,
    max_duplicate_lines_share: float | None = 0.30,
    max_duplicate_line_characters_share: float | None = 0.20,
    max_top_2gram_characters_share: float | None = 0.20,
    max_top_3gram_characters_share: float | None = 0.18,
    max_top_4gram_characters_share: float | None = 0.16,
    max_duplicate_5gram_characters_share: float | None = 0.15,
    max_duplicate_6gram_characters_share: float | None = 0.14,
    max_duplicate_7gram_characters_share: float | None = 0.13,
    max_duplicate_8gram_characters_share: float | None = 0.12,
    max_duplicate_9gram_characters_share: float | None = 0.11,
    max_duplicate_10gram_characters_share: float | None = 0.10,
) -> Signals:
    """Shares of a text that are repeated paragraphs, lines, and runs of words.

    Shares of characters are shares of the whole text. The top n-gram is the one that occurs most often (of
    several, the first), counted with the spaces between its words; repeated n-grams count without spaces,
    from their second occurrence on, and do not overlap. datatrove's filter defines it so. Other than there,
    an n-gram that occurs once repeats nothing: no text is rejected here for being short.
    """
    signals: dict[str, float] = {}
    for name, parts in (("paragraph", text.paragraphs), ("line", text.lines)):
        num_repeated, characters = _repeated(parts)
        signals[f"duplicate_{name}s_share"] = num_repeated / len(parts)
        signals[f"duplicate_{name}_characters_share"] = characters / max(len(text), 1)
    ngrams = _NGrams(text)
    for n in TOPS:
        signals[f"top_{n}gram_characters_share"] = ngrams.top_characters(n) / max(len(text), 1)
    for n in REPEATS:
        signals[f"duplicate_{n}gram_characters_share"] = ngrams.duplicate_characters(n) / max(len(text), 1)
    return signals


def _repeated(parts: list[str]) -> tuple[int, int]:
    """How many parts occurred before, and their characters."""
    if len(distinct := set(parts)) == len(parts):
        return 0, 0
    characters = sum(map(len, parts)) - sum(map(len, distinct))
    return len(parts) - len(distinct), characters


class _NGrams:
    """The n-grams of a text, of one n after the other; where none repeats, no longer one does."""

    def __init__(self, text: Text) -> None:
        import numpy as np

        self._numbers = text.numbers
        lengths = text.of_words("characters", len, int)
        self._ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        self._n = 1
        self._places = np.arange(len(self._numbers))
        """Where n-grams begin that occur twice or more."""
        self._ranks = self._numbers
        """Of those n-grams: equal ranks are equal words."""

    def _advance(self, n: int) -> bool:
        """Go on to n words; False if no n-gram of so many words occurs twice."""
        while self._n < n and len(self._places):
            fits = self._places + self._n < len(self._numbers)
            places, ranks = self._places[fits], self._ranks[fits]
            # (rank of the first words, the next word) as one number, numbered anew below.
            pairs = ranks * (int(self._numbers.max()) + 1) + self._numbers[places + self._n]
            self._n += 1
            self._places, self._ranks = _repeating(places, pairs)
        return bool(len(self._places))

    def top_characters(self, n: int) -> int:
        """Characters of all occurrences of the commonest n-gram, spaces included; the first wins a tie."""
        import numpy as np

        if not self._advance(n):
            return 0
        counts = np.bincount(self._ranks)
        first = int(np.argmax(counts[self._ranks]))
        start = int(self._places[first])
        length = int(self._ends[start + n] - self._ends[start]) + n - 1
        return length * int(counts[self._ranks[first]])

    def duplicate_characters(self, n: int) -> int:
        """Characters of n-grams that occurred before, left to right, without overlap."""
        if not self._advance(n):
            return 0
        seen: set[int] = set()
        characters = free = 0
        lengths = self._ends[self._places + n] - self._ends[self._places]
        for start, rank, length in zip(
            self._places.tolist(), self._ranks.tolist(), lengths.tolist(), strict=True
        ):
            if start < free:
                continue
            if rank in seen:
                characters += length
                free = start + n
            else:
                seen.add(rank)
        return characters


def _repeating(places: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
    """The places whose value occurs twice or more, and ranks from 0 for their values."""
    import numpy as np

    order = np.argsort(values)
    ordered = values[order]
    is_same = ordered[1:] == ordered[:-1]
    if not is_same.any():
        return places[:0], values[:0]
    repeats = np.concatenate([is_same, [False]]) | np.concatenate([[False], is_same])
    is_new = np.concatenate([[True], ~is_same])
    ranks = np.cumsum(is_new[repeats]) - 1
    chosen = order[repeats]
    back = np.argsort(chosen)
    return places[chosen[back]], ranks[back]
