"""Lines that are no sentences: the line rules of C4 (Raffel et al. 2020, section 2.2, and its code)."""

from __future__ import annotations

import re
from typing import NamedTuple

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
    may_cite = without_citations and CITATION.search(text) is not None
    named = _named_in(text, without_javascript, without_policies, may_cite)
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped:
            continue
        if len(stripped) > max_word_characters and max(map(len, stripped.split())) > max_word_characters:
            tally.count("long_word", line)
            continue
        if may_cite and "[" in stripped and CITATION.search(stripped):
            stripped = _without_citations(stripped, tally)
        rule = _broken(stripped, needs_terminal_punctuation, min_words, named)
        if rule:
            tally.count(rule, line)
        else:
            kept.append(stripped)
    return Cleaned("\n".join(kept), tally.edits())


class _Named(NamedTuple):
    """What lines are looked through for."""

    javascript: bool
    policies: bool


def _named_in(text: str, without_javascript: bool, without_policies: bool, may_cite: bool) -> _Named:
    """Nothing that the whole text does not name; where a citation goes, what it parted comes together."""
    lowered = text.lower()
    return _Named(
        without_javascript and (may_cite or "javascript" in lowered),
        without_policies and (may_cite or any(policy in lowered for policy in POLICIES)),
    )


def _without_citations(line: str, tally: Tally) -> str:
    """Until there is none: taking one out may bring the brackets of another together."""
    while match := CITATION.search(line):
        tally.count("citation", match[0])
        line = line[: match.start()] + line[match.end() :]
    return " ".join(line.split())


def _broken(line: str, needs_end: bool, min_words: int, named: _Named) -> str | None:
    """The rule that takes the line out; None if it stays."""
    if needs_end and (not line.endswith(ENDS) or line.endswith("...")):
        return "no_terminal_punctuation"
    if len(line.split(None, min_words)) < min_words:
        return "few_words"
    if not any(named):
        return None
    lowered = line.lower()
    if "lorem ipsum" in lowered:
        return None
    if named.javascript and "javascript" in lowered:
        return "javascript"
    if "{" not in line and named.policies and any(policy in lowered for policy in POLICIES):
        return "policy"
    return None
