"""Too short to say something, or too long to be one document."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from lmcore.corpus.filters import Signals, filters
from lmcore.corpus.text import Text


@filters.register
def length(text: Text, *, min_words: int | None = 20, max_words: int | None = 100_000) -> Signals:
    """`words`: runs of characters between white space; of scripts that put none between words, each letter.

    Gopher (Rae et al. 2021) asks web pages for 50 words; the default is lower, because edited text may be
    short and whole: the shortest chapter of the Bible has 33 words.
    """
    is_spaceless, letter = _spaceless()
    if not is_spaceless(text.text):
        return {"words": len(text.words)}
    return {"words": len(letter.sub(r" \g<0> ", text.text).split())}


@cache
def _spaceless() -> tuple[Any, Any]:
    """Whether a text has a letter of such a script; and the pattern of one, with the marks on it."""
    import regex

    from lmcore.corpus.words import SPACELESS

    letters = "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in SPACELESS) + "]"
    return re.compile(letters).search, regex.compile(rf"{letters}\p{{M}}*")
