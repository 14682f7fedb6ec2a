"""The printable letter that stands for each byte in a byte-level vocabulary (Radford et al. 2019).

Printable Latin-1 letters stand for themselves, the other 68 bytes for the letters from U+0100 on, in order.
"""

from __future__ import annotations

_PRINTABLE = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]

LETTERS = tuple(chr(byte if byte in _PRINTABLE else 0x100 + _OTHERS.index(byte)) for byte in range(256))
"""By byte."""
BYTES = {letter: byte for byte, letter in enumerate(LETTERS)}


def spell(token: bytes) -> str:
    """Bytes as a vocabulary writes them."""
    return "".join(LETTERS[byte] for byte in token)


def unspell(token: str) -> bytes:
    """The bytes that a token of a vocabulary stands for.

    Raises:
        KeyError: a letter stands for no byte.
    """
    return bytes(BYTES[letter] for letter in token)
