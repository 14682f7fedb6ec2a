"""Who repeats a text: runs of words that stand in this one and in no other that may be kept.

A run is eight words, letter case and punctuation aside; of a shorter text, the whole of it. A greeting that
stands in other files as well is no quote, so such runs are left out before anything is searched for them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from tasks.forgetting.texts import texts_of

RUN = 8
"""Words."""
SHORTEST = 3
"""Words of a text that is searched for at all: fewer may stand anywhere."""
_WORD = re.compile(r"\w+")
Run = tuple[str, ...]


class Quotes:
    """The runs of words by which a text is recognised."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.runs: set[Run] = set()
        for text in texts:
            words = _words(text)
            if len(words) >= RUN:
                self.runs.update(_runs(words, RUN))
            elif len(words) >= SHORTEST:
                self.runs.add(tuple(words))
        self.whole = len(self.runs)
        """Runs of the text before those were left out that others have as well."""

    def __bool__(self) -> bool:
        return bool(self.runs)

    def leave_out(self, texts: Iterable[str]) -> float:
        """Pass over what stands in another text too; the share of all runs that does."""
        common = {run for text in texts for run in self._found(text)}
        self.runs -= common
        return len(common) / self.whole if self.whole else 0.0

    def are_in(self, path: Path, name: str | None = None) -> bool:
        """Whether a file repeats one; one that cannot be read does not."""
        try:
            return any(self.are_in_text(text) for text in texts_of(path, name))
        except OSError:
            return False

    def are_in_text(self, text: str) -> bool:
        return next(self._found(text), None) is not None

    def _found(self, text: str) -> Iterator[Run]:
        if not self.runs:
            return
        words = _words(text)
        for length in self._lengths:
            yield from (run for run in _runs(words, length) if run in self.runs)

    @property
    def _lengths(self) -> set[int]:
        return {len(run) for run in self.runs}


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _runs(words: list[str], length: int) -> Iterator[Run]:
    return zip(*(words[start:] for start in range(length)), strict=False)
