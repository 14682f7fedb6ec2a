"""What exercises cut from a text: lines without their headings and numbers, sentences, verses, passages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from lmcore.corpus.document import Document

NUMBERED = re.compile(r"(\d{1,4})[.:)]?\s+(\S.*)")
"""A line with a number of its own, such as a verse."""
ENDS = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+|[。！？]+[”’」』）]*")
"""Where a sentence may end; scripts that set no spaces have marks of their own."""
OPENERS = "\"'“‘«(["
_ABBREVIATIONS = "Mr Mrs Ms Messrs Dr St Prof Rev Hon Capt Col Gen Lt Sgt Esq Jr Sr Vol vs etc e.g i.e cf viz"
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
LETTERS_IN_WORD = 10
"""A word of text without spaces: keeps a limit in words a limit in tokens for any script."""


def num_words(text: str) -> int:
    """Words between spaces; of text with few spaces, as many as its letters would make."""
    return max(len(text.split()), len(text) // LETTERS_IN_WORD)


def body(document: Document) -> list[str]:
    """The lines of the text, without those that would give away where it is from.

    The title, headings (no small letter in them), rules of stars and the numbers of verses are left out.
    """
    lines = [line for line in _lines(document) if not _is_heading(line)]
    return [match[2] if match else line for line, match in zip(lines, _numbers(lines), strict=True)]


def verses(document: Document) -> dict[int, str]:
    """The numbered lines of a text whose lines are numbered, by number; none of any other text."""
    lines = [line for line in _lines(document) if not _is_heading(line)]
    return {int(match[1]): match[2] for match in _numbers(lines) if match}


def sentences(line: str) -> list[str]:
    """A line cut behind each sentence, spaces aside; speech goes on where a small letter follows.

    The text is only cut, never changed: joined by spaces, the sentences are the line.
    """
    found, start = [], 0
    for match in ENDS.finditer(line):
        if not _goes_on(line[start : match.start()], match[0], line[match.end() :]):
            found.append(line[start : match.end()].strip())
            start = match.end()
    return [sentence for sentence in (*found, line[start:].strip()) if sentence]


def all_sentences(document: Document) -> list[str]:
    """The sentences of the body, in order; a line's end ends a sentence, too."""
    return [sentence for line in body(document) for sentence in sentences(line)]


def cut_passages(pieces: Sequence[str], max_words: int) -> list[tuple[str, ...]]:
    """Runs of neighbouring pieces with at most `max_words` words and at least half as many, none in two runs.

    A piece that is longer than that stands in no run.
    """
    passages: list[tuple[str, ...]] = []
    run: list[str] = []
    words = 0

    def close() -> None:
        if 2 * words >= max_words:
            passages.append(tuple(run))

    for piece in pieces:
        size = num_words(piece)
        if words + size > max_words:
            close()
            run, words = [], 0
        if size <= max_words:
            run.append(piece)
            words += size
    close()
    return passages


def _lines(document: Document) -> list[str]:
    lines = [" ".join(line.split()) for line in document.text.split("\n") if line.strip()]
    return lines[1:] if lines and lines[0].casefold() == document.title.strip().casefold() else lines


def _is_heading(line: str) -> bool:
    has_no_small = line == line.upper() and line != line.lower()
    return has_no_small or not any(map(str.isalnum, line))


def _numbers(lines: Sequence[str]) -> list[re.Match[str] | None]:
    """Each line's number and the rest of it, if most lines have one and the numbers rise."""
    matches = [NUMBERED.fullmatch(line) for line in lines]
    numbers = [int(match[1]) for match in matches if match]
    is_rising = all(first < second for first, second in pairwise(numbers))
    is_numbered = is_rising and len(numbers) > max(1, len(lines) // 2)
    return matches if is_numbered else [None] * len(lines)


def _goes_on(before: str, mark: str, behind: str) -> bool:
    """Whether a mark that may end a sentence does not: behind an abbreviation, or in front of `said he`."""
    if behind.lstrip(OPENERS)[:1].islower():
        return True
    if mark.strip() != ".":
        return False
    last = (before.split() or [""])[-1].lstrip(OPENERS).removeprefix("--")
    return last in ABBREVIATIONS or (len(last) == 1 and last.isupper() and last != "I")
