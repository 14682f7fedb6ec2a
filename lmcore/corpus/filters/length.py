"""Too short to say something, or too long to be one document."""

from __future__ import annotations

from lmcore.corpus.filters import Rejection, filters


@filters.register
def length(text: str, *, min_words: int = 20, max_words: int = 100_000) -> Rejection | None:
    """Keep documents of `min_words` to `max_words` words (runs of characters between white space).

    Gopher (Rae et al. 2021) asks web pages for 50 words; the default is lower, because edited text may be
    short and whole: the shortest chapter of the Bible has 33 words.
    """
    words = len(text.split())
    if words < min_words:
        return Rejection("min_words", words, min_words)
    if words > max_words:
        return Rejection("max_words", words, max_words)
    return None
