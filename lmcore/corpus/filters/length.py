"""Too short to say something, or too long to be one document."""

from __future__ import annotations

from lmcore.corpus.filters import Signals, filters
from lmcore.corpus.text import Text


@filters.register
def length(text: Text, *, min_words: int | None = 20, max_words: int | None = 100_000) -> Signals:
    """`words`: runs of characters between white space.

    Gopher (Rae et al. 2021) asks web pages for 50 words; the default is lower, because edited text may be
    short and whole: the shortest chapter of the Bible has 33 words.
    """
    return {"words": len(text.words)}
