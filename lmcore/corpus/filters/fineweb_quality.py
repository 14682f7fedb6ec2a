"""Lists, menus and repeated lines: the rules that FineWeb added (Penedo et al. 2024, section 3.6)."""

from __future__ import annotations

from functools import cache

from lmcore.corpus.filters import Signals, filters
from lmcore.corpus.text import Text


@filters.register
def fineweb_quality(
    text: Text,
    *,
    min_terminal_punctuation_lines_share: float | None = 0.12,
    max_short_lines_share: float | None = 0.67,
    max_duplicate_line_characters_share: float | None = 0.01,
    max_newlines_per_word: float | None = 0.3,
    short_line_characters: int = 30,
) -> Signals:
    """Shares of lines that end a sentence, that are short, and of characters in lines that occurred before.

    Blank lines are no lines here. Thresholds are those of datatrove's filter.
    """
    lines = [line for line in text.text.split("\n") if line and not line.isspace()] or [""]
    duplicated = sum(map(len, lines)) - sum(map(len, set(lines)))
    return {
        "terminal_punctuation_lines_share": sum(_ends_a_sentence(line[-1:]) for line in lines) / len(lines),
        "short_lines_share": sum(len(line) <= short_line_characters for line in lines) / len(lines),
        "duplicate_line_characters_share": duplicated / max(len(text) - text.text.count("\n"), 1),
        "newlines_per_word": text.text.count("\n") / max(len(text.words), 1),
    }


@cache
def _ends_a_sentence(character: str) -> bool:
    """By the Unicode property Sentence_Terminal."""
    import regex

    return regex.match(r"\p{Sentence_Terminal}", character) is not None
