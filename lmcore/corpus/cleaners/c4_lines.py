"""Lines that are no sentences: the line rules of C4 (Raffel et al. 2020, section 2.2, and its code)."""

from __future__ import annotations

import re

from lmcore.corpus.cleaners import Cleaned, Tally, cleaners

CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
ENDS = (".", "?", "!", '"', "'")
POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"
)  # fmt: skip


@cleaners.register
def c4_lines(
    text: str,
    *,
    needs_terminal_punctuation: bool = True,
    min_words: int = 3,
    max_word_characters: int = 1_000,
    without_citations: bool = True,
    without_javascript: bool = True,
    without_policies: bool = True,
) -> Cleaned:
    """Take out lines without an end, of few words, of a word that is none, and those of scripts and cookies.

    Lines with `lorem ipsum` or a curly bracket stay, so that the filter `c4_quality` sees them. FineWeb's
    recipe sets `needs_terminal_punctuation` to false. Citation marks such as `[12]` are taken out of lines;
    words are counted without them, other than in C4's code, so that a second pass finds nothing more.
    """
    tally, kept = Tally(), []
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped:
            continue
        words = stripped.split()
        if any(len(word) > max_word_characters for word in words):
            tally.count("long_word", line)
            continue
        if without_citations and "[" in stripped and CITATION.search(stripped):
            stripped = _without_citations(stripped, tally)
        rule = _broken(stripped, needs_terminal_punctuation, min_words, without_javascript, without_policies)
        if rule:
            tally.count(rule, line)
        else:
            kept.append(stripped)
    cleaned = "\n".join(kept)
    return Cleaned(cleaned, tally.edits())


def _without_citations(line: str, tally: Tally) -> str:
    """Until there is none: taking one out may bring the brackets of another together."""
    while match := CITATION.search(line):
        tally.count("citation", match[0])
        line = line[: match.start()] + line[match.end() :]
    return " ".join(line.split())


def _broken(
    line: str, needs_end: bool, min_words: int, without_javascript: bool, without_policies: bool
) -> str | None:
    """The rule that takes the line out; None if it stays."""
    if needs_end and (not line.endswith(ENDS) or line.endswith("...")):
        return "no_terminal_punctuation"
    if len(line.split()) < min_words:
        return "few_words"
    lowered = line.lower()
    if "lorem ipsum" in lowered:
        return None
    if without_javascript and "javascript" in lowered:
        return "javascript"
    if "{" not in line and without_policies and any(policy in lowered for policy in POLICIES):
        return "policy"
    return None
