"""The document rules of C4 (Raffel et al. 2020, section 2.2); its line rules are the cleaner `c4_lines`."""

from __future__ import annotations

import re

from lmcore.corpus.filters import Signals, filters
from lmcore.corpus.text import Text

SENTENCE_END = re.compile(r"[.?!]+[\"')\]]*(?=\s|$)")


@filters.register
def c4_quality(
    text: Text,
    *,
    min_sentences: int | None = 5,
    max_lorem_ipsum: int | None = 0,
    max_curly_brackets: int | None = 0,
) -> Signals:
    """Sentences, and signs of a page that is no text.

    A sentence ends in `.`, `?` or `!`, closing quotes and brackets included, before white space; what follows
    the last end of a line is one more.
    """
    lowered = text.text.lower()
    return {
        "sentences": sum(map(_sentences, text.lines)),
        "lorem_ipsum": lowered.count("lorem ipsum"),
        "curly_brackets": text.text.count("{"),
    }


def _sentences(line: str) -> int:
    ends = [match.end() for match in SENTENCE_END.finditer(line)]
    return len(ends) + bool(line[ends[-1] if ends else 0 :].strip())
