"""Which characters are letters, numbers and white space, asked of `tokenizers` itself.

Unicode grows, and each library knows another version of it. A character is therefore classed by the engine
whose cuts are to be met, when it is first seen: 0.4 s for all of Unicode, nothing for what never occurs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, normalizers

LETTER, NUMBER, WHITE, OTHER, END = 1, 2, 4, 8, 16
KIND = 31
"""One of these five for each character; END stands between texts."""
SPACE, NEW_LINE, APOSTROPHE = 32, 64, 128
"""Set beside the kind: the blank, carriage return and line feed, and the straight apostrophe."""

_KINDS = ((r"\p{L}", LETTER), (r"\p{N}", NUMBER), (r"\s", WHITE))
_MARKED = {" ": SPACE, "\r": NEW_LINE, "\n": NEW_LINE, "'": APOSTROPHE}
_NUM_CODES = 0x110000

Flags = NDArray[np.uint8]


def _ask(codes: list[int]) -> list[int]:
    text = "".join(map(chr, codes))
    found = dict.fromkeys(text, OTHER)
    for pattern, kind in _KINDS:
        rest = set(normalizers.Replace(Regex(pattern), "").normalize_str(text))
        found.update((letter, kind) for letter in found if letter not in rest)
    return [found[letter] | _MARKED.get(letter, 0) for letter in text]


class CharacterKinds:
    """Flags by code point, filled in as they are asked for; safe in several threads."""

    def __init__(self) -> None:
        self._flags = np.zeros(_NUM_CODES, dtype=np.uint8)
        self._flags[:128] = _ask(list(range(128)))
        self.ascii: bytes = self._flags[:128].tobytes()

    def of(self, codes: NDArray[np.int64]) -> Flags:
        """The flags of code points, (N,)."""
        flags = self._flags[codes]
        if not flags.all():
            new = np.unique(codes[flags == 0])
            self._flags[new] = _ask(new.tolist())
            flags = self._flags[codes]
        return flags
