"""Cuts texts into the pieces that a published rule makes of them, many texts at once.

The rules look at no more than the kinds of neighbouring characters, so that all cuts of a block are found
by a few comparisons of whole arrays. They are the cuts that `tokenizers` makes with the same pattern,
character by character; a block ends where no rule can look across.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmcore.tokenizers.characters import (
    APOSTROPHE,
    END,
    KIND,
    LETTER,
    NEW_LINE,
    NUMBER,
    OTHER,
    SPACE,
    WHITE,
    CharacterKinds,
    Flags,
)

PADDING = 16
"""Bytes behind a block, so that the longest short piece can be read from any place."""
BLOCK_CHARACTERS = 1 << 18
"""Little enough for a processor's cache, much enough to forget what a call costs."""
PART_END, TEXT_END = 0xFE, 0xFF
"""Bytes that no UTF-8 text holds: behind a part of a text, and behind its last part."""
_SAFE_CUT = re.compile(r"(?<=[a-z]) (?=[a-z])")

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


class Pieces(NamedTuple):
    """A block of texts and its pieces; the end of a part is a piece of one byte, PART_END or TEXT_END."""

    data: bytes
    starts: Places
    """Where each piece begins, in bytes, (P,)."""
    lengths: Places
    """Its bytes, (P,)."""
    ends: Places
    """The pieces that end a part, (parts,)."""

    def spelled(self, number: int) -> bytes:
        """The bytes of one piece."""
        start = int(self.starts[number])
        return self.data[start : start + int(self.lengths[number])]


def cut(texts: Sequence[str], pattern: str) -> Iterator[Pieces]:
    """The pieces of all texts, block by block, in order.

    Raises:
        UnicodeEncodeError: a text holds half of a surrogate pair.
    """
    waiting: list[bytes] = []
    characters = 0
    for part, end in _parts(texts):
        waiting += (part.encode(), end)
        characters += len(part) + 1
        if characters >= BLOCK_CHARACTERS:
            yield _cut_block(b"".join(waiting), pattern)
            waiting, characters = [], 0
    if waiting:
        yield _cut_block(b"".join(waiting), pattern)


def _parts(texts: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Long texts in parts, cut before a blank between two plain letters, where every rule cuts."""
    for text in texts:
        start = 0
        while len(text) - start > BLOCK_CHARACTERS:
            found = _SAFE_CUT.search(text, start + BLOCK_CHARACTERS - 1)
            if not found:
                break
            yield text[start : found.start()], bytes([PART_END])
            start = found.start()
        yield text[start:] if start else text, bytes([TEXT_END])


def _cut_block(data: bytes, pattern: str) -> Pieces:
    size = len(data)
    data += bytes(PADDING)
    raw = np.frombuffer(data, dtype=np.uint8)
    flags = np.frombuffer(data[:size].translate(_byte_flags()), dtype=np.uint8)
    places = None
    if not flags.all():  # bytes of characters beyond ASCII have no flags yet
        flags, places = _decode(raw[:size], flags)
    starts = _RULES[pattern](flags, raw, places)
    is_end = flags == END
    bounds = np.flatnonzero(starts | is_end)
    ends = np.flatnonzero(is_end[bounds])
    if places is not None:
        bounds = places[bounds]
    return Pieces(data, bounds, np.diff(bounds, append=size), ends)


@cache
def _kinds() -> CharacterKinds:
    return CharacterKinds()


@cache
def _byte_flags() -> bytes:
    beyond = bytearray(128)
    beyond[PART_END - 128] = beyond[TEXT_END - 128] = END
    return _kinds().ascii + bytes(beyond)


def _decode(raw: NDArray[np.uint8], flags: Flags) -> tuple[Flags, Places]:
    """The flags of each character, (N,), and the byte where it begins."""
    begins = (raw & 0xC0) != 0x80
    leads = np.flatnonzero(begins & (flags == 0))
    first, *rest = (raw[np.minimum(leads + step, len(raw) - 1)].astype(np.int64) for step in range(4))
    second, third, fourth = (byte & 0x3F for byte in rest)
    codes = np.where(
        first < 0xE0,
        (first & 0x1F) << 6 | second,
        np.where(
            first < 0xF0,
            (first & 0x0F) << 12 | second << 6 | third,
            (first & 0x07) << 18 | second << 12 | third << 6 | fourth,
        ),
    )
    flags = flags.copy()
    flags[leads] = _kinds().of(codes)
    return flags[begins], np.flatnonzero(begins)


def _gpt2(flags: Flags, raw: NDArray[np.uint8], places: Places | None) -> Mask:
    """Where pieces begin: runs of one kind, each with one blank before it."""
    kind = flags & np.uint8(KIND)
    starts = _changes(kind)
    starts[1:] &= (flags[:-1] & SPACE) == 0
    starts[:-1] |= (kind[:-1] == WHITE) & (kind[1:] & (WHITE | END) == 0)
    apostrophes = _starting_apostrophes(flags, starts)
    _cut_contractions(starts, apostrophes, _contractions(apostrophes, raw, places, is_any_case=False))
    return starts


def _words(flags: Flags, raw: NDArray[np.uint8], places: Places | None, most_digits: int) -> Mask:
    """Where pieces begin: words with one other character before them, numbers cut, lines ended."""
    kind = flags & np.uint8(KIND)
    starts = _changes(kind)
    after_space = (flags[:-1] & SPACE) != 0
    starts[1:] &= ~(after_space & (kind[1:] == OTHER))
    apostrophes = _starting_apostrophes(flags, starts)
    _join_words(flags, kind, starts)
    _cut_white(flags, kind, starts)
    digits = np.flatnonzero(kind == NUMBER)
    starts[digits] = (digits - _run_starts(digits)) % most_digits == 0
    _cut_contractions(starts, apostrophes, _contractions(apostrophes, raw, places, is_any_case=True))
    return starts


_RULES: dict[str, Callable[[Flags, NDArray[np.uint8], Places | None], Mask]] = {
    "gpt2": _gpt2,
    "gpt4": partial(_words, most_digits=3),
    "llama3": partial(_words, most_digits=3),
    "qwen2": partial(_words, most_digits=1),
    "character": lambda flags, raw, places: np.ones(len(flags), dtype=bool),
}


def _changes(kind: Flags) -> Mask:
    changes = np.empty(len(kind), dtype=bool)
    changes[0] = True
    np.not_equal(kind[1:], kind[:-1], out=changes[1:])
    return changes


def _join_words(flags: Flags, kind: Flags, starts: Mask) -> None:
    """Letters go on from a single other character, or from white space that ends no line."""
    single = starts[:-1] & (kind[:-1] == OTHER)
    white = (flags[:-1] & (WHITE | NEW_LINE)) == WHITE
    starts[1:] &= ~((single | white) & (kind[1:] == LETTER))


def _cut_white(flags: Flags, kind: Flags, starts: Mask) -> None:
    """White space: to the end of its last line, then all but one, then that one with what follows."""
    white = np.concatenate([kind == WHITE, [False]])
    ends = np.flatnonzero(white[:-1] & ~white[1:])
    before_text = ends[(kind[np.minimum(ends + 1, len(kind) - 1)] != END) & (flags[ends] & NEW_LINE == 0)]
    starts[before_text] = True
    lines = np.flatnonzero(flags & NEW_LINE)
    if not len(lines):
        return
    run = np.searchsorted(ends, lines)
    last = lines[np.diff(run, append=-1) != 0]
    starts[last + 1] = True
    # Line ends right behind other characters belong to these.
    first = lines[_run_starts(lines) == lines]
    absorbed = first[(first > 0) & (kind[first - 1] == OTHER)]
    starts[absorbed] = False
    line_ends = lines[np.diff(lines, append=-1) != 1]
    starts[line_ends[np.searchsorted(line_ends, absorbed)] + 1] = True


def _run_starts(places: Places) -> Places:
    """For each of some rising places the first of the consecutive ones that it stands in."""
    begins = np.diff(places, prepend=-2) != 1
    return np.maximum.accumulate(np.where(begins, places, 0)) if len(places) else places


def _starting_apostrophes(flags: Flags, starts: Mask) -> Places:
    return np.flatnonzero((flags & APOSTROPHE).view(bool) & starts)


def _contractions(
    apostrophes: Places, raw: NDArray[np.uint8], places: Places | None, *, is_any_case: bool
) -> Places:
    """The characters of 's, 't, 'm, 'd, 're, 've, 'll at each apostrophe, 0 where there is none."""
    at = apostrophes if places is None else places[apostrophes]
    one, two = raw[at + 1], raw[at + 2]
    long_s = (one == 0xC5) & (two == 0xBF)  # folds to s
    if is_any_case:
        one, two = one | np.uint8(0x20), two | np.uint8(0x20)
    short = np.isin(one, np.frombuffer(b"stmd", dtype=np.uint8)) | (is_any_case & long_s)
    longer = ((one == ord("l")) & (two == ord("l"))) | (
        ((one == ord("r")) | (one == ord("v"))) & (two == ord("e"))
    )
    return np.where(short, 2, np.where(longer, 3, 0))


def _cut_contractions(starts: Mask, apostrophes: Places, lengths: Places) -> None:
    found = lengths > 0
    apostrophes, lengths = apostrophes[found], lengths[found]
    starts[apostrophes + 1] = False
    starts[apostrophes + lengths] = True
