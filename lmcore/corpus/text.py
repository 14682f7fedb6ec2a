"""A text as filters and the comparison of documents look at it: words are cut once, and known by numbers.

Python goes over each word once, to number it; the rest is arithmetic on arrays. A word here is a run of
characters between white space.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a filter's name alone is not to wait for NumPy
    import numpy as np
    from numpy.typing import NDArray

_PARAGRAPH_BREAKS = re.compile("\n{2,}")


class _Numbers(dict[str, int]):
    """Gives each new word the next number."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        """By number: a text's new words are at the end, whatever came before."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        self.words.append(word)
        return number


class Vocabulary:
    """The distinct words of many texts, numbered as they come, and tables of what is known of each."""

    def __init__(self) -> None:
        self._numbers = _Numbers()
        self._tables: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, words: list[str]) -> NDArray[np.int64]:
        """The number of each word, (N,)."""
        import numpy as np

        return np.fromiter(map(self._numbers.__getitem__, words), np.int64, len(words))

    def table(
        self, name: str, measure: Callable[[str], int | float | bool], dtype: type[Any]
    ) -> NDArray[Any]:
        """`measure` of every word so far, by number, (V,); each word is measured once."""
        import numpy as np

        known = self._tables.get(name, np.zeros(0, dtype))
        if len(known) < len(self._numbers):
            new = self._numbers.words[len(known) :]
            more = np.fromiter(map(measure, new), dtype, len(new))
            known = self._tables[name] = np.concatenate([known, more])
        return known


class Text:
    """One text; what is cut or counted is kept, for whoever asks next."""

    def __init__(self, text: str, vocabulary: Vocabulary | None = None) -> None:
        self.text = text
        self.vocabulary = Vocabulary() if vocabulary is None else vocabulary

    def __len__(self) -> int:
        return len(self.text)

    @cached_property
    def words(self) -> list[str]:
        """Runs of characters between white space."""
        return self.text.split()

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The words' numbers in the vocabulary, (N,): equal numbers are equal words."""
        return self.vocabulary.number(self.words)

    def of_words(
        self, name: str, measure: Callable[[str], int | float | bool], dtype: type[Any]
    ) -> NDArray[Any]:
        """`measure` of each word, (N,); `name` stands for the measure and its type in the vocabulary."""
        numbers = self.numbers  # they may add words to the table
        return self.vocabulary.table(name, measure, dtype)[numbers]

    @cached_property
    def lines(self) -> list[str]:
        """Lines that are not empty; of a text without any, the empty one."""
        return list(filter(None, self.text.strip().split("\n"))) or [""]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between blank lines."""
        text = self.text.strip()
        return _PARAGRAPH_BREAKS.split(text) if "\n\n" in text else [text]
