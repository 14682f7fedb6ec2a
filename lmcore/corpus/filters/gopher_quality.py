"""Looks like written language: the quality rules of Gopher (Rae et al. 2021, section A.1.1)."""

from __future__ import annotations

from collections.abc import Callable

from lmcore.corpus.filters import Signals, filters
from lmcore.corpus.text import Text

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
BULLETS = ("•", "-")
ELLIPSES = ("...", "…")


@filters.register
def gopher_quality(
    text: Text,
    *,
    min_words: int | None = 50,
    max_words: int | None = 100_000,
    min_mean_word_length: float | None = 3.0,
    max_mean_word_length: float | None = 10.0,
    max_hashes_per_word: float | None = 0.1,
    max_ellipses_per_word: float | None = 0.1,
    max_bullet_lines_share: float | None = 0.9,
    max_ellipsis_lines_share: float | None = 0.3,
    min_alphabetic_words_share: float | None = 0.8,
    min_stop_words: int | None = 2,
    stop_words: tuple[str, ...] = STOP_WORDS,
    symbols: str = "",
) -> Signals:
    """Words and their length, symbols, bullets, and how many of the stop words occur.

    `words` and `mean_word_length` leave out words that are symbols alone: without a letter or digit, or,
    where `symbols` lists characters, of these characters alone. Shares of words are shares of all;
    shares of lines count empty lines too. Stop words count once each, as they are written.
    """
    is_word = text.of_words(f"word of {symbols}", _is_word(symbols), bool)
    lengths = text.of_words("characters", len, int)
    is_alphabetic = text.of_words("alphabetic", _has_letter, bool)
    total, num_words = max(len(text.words), 1), int(is_word.sum())
    lines = text.text.splitlines() or [""]
    present = set(text.words)
    return {
        "words": num_words,
        "mean_word_length": float(lengths[is_word].sum()) / max(num_words, 1),
        "hashes_per_word": text.text.count("#") / total,
        "ellipses_per_word": sum(map(text.text.count, ELLIPSES)) / total,
        "bullet_lines_share": sum(line.lstrip().startswith(BULLETS) for line in lines) / len(lines),
        "ellipsis_lines_share": sum(line.rstrip().endswith(ELLIPSES) for line in lines) / len(lines),
        "alphabetic_words_share": int(is_alphabetic.sum()) / total,
        "stop_words": sum(word in present for word in dict.fromkeys(stop_words)),
    }


def _is_word(symbols: str) -> Callable[[str], bool]:
    """Whether a word is more than symbols."""
    only = frozenset(symbols)
    return (lambda word: not only.issuperset(word)) if only else (lambda word: any(map(str.isalnum, word)))


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))
