"""The document rules of C4 (Raffel et al. 2020, section 2.2); its line rules are the cleaner `c4_lines`."""

from __future__ import annotations

import re

from lmcore.corpus.filters import Signals, filters
from lmcore.corpus.text import Text

SENTENCE_END = re.compile(r"[.?!]+[\"')\]]*(?=\s|$)")
LINE_END = re.compile(r"[.?!][\"')\]]*[^\S\n]*$", re.MULTILINE)
"""Of a line that ends with its last sentence."""


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
        "sentences": _sentences(text.text),
        "lorem_ipsum": lowered.count("lorem ipsum"),
        "curly_brackets": text.text.count("{"),
    }


def _sentences(text: str) -> int:
    num_lines = sum(map(bool, map(str.strip, text.split("\n"))))
    return len(SENTENCE_END.findall(text)) + num_lines - len(LINE_END.findall(text))
