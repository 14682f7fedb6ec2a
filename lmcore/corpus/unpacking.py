"""The bytes of a file, unpacked on the way where it is packed: gzip, Zstandard, bzip2 or xz.

What a file is packed with is seen from its first bytes; a name alone (`.gz`) does not make it so.
"""

from __future__ import annotations

import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

BLOCK = 1 << 16
"""Packed bytes that are read together."""
MOST_AT_ONCE = 1 << 20
"""Unpacked bytes that a block may become at once: some files grow a thousandfold."""


class DamagedArchiveError(OSError):
    """A packed file that ends too early, or holds bytes that it was not packed with."""


def _gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdDecompressor()


PACKINGS: dict[str, tuple[bytes, Callable[[], Any]]] = {
    ".gz": (b"\x1f\x8b", _gzip),
    ".zst": (b"\x28\xb5\x2f\xfd", _zstd),
    ".bz2": (b"BZh", bz2.BZ2Decompressor),
    ".xz": (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
}
"""Suffix -> the first bytes of such a file, and what unpacks one."""


def packing_of(path: Path) -> str | None:
    """The suffix of the packing that a file's first bytes show, or that its name claims; None: it is plain.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(6)
    shown = (suffix for suffix, (magic, _) in PACKINGS.items() if start.startswith(magic))
    return next(shown, path.suffix if path.suffix in PACKINGS else None)


def stem_of(path: Path) -> str:
    """A file's name without the suffixes of its packing and its format: `book` for `book.txt.gz`."""
    name = path.name.removesuffix(path.suffix) if path.suffix in PACKINGS else path.name
    return name.rpartition(".")[0] or name


def open_unpacked(path: Path) -> BinaryIO:
    """A stream of the file's unpacked bytes, with a buffer; all that stands before damage can be read.

    Raises:
        OSError: the file cannot be opened. Reading raises DamagedArchiveError where the damage is met.
    """
    packing = packing_of(path)
    file = path.open("rb", buffering=MOST_AT_ONCE)
    return io.BufferedReader(_Unpacked(file, packing), MOST_AT_ONCE) if packing else file


class _Unpacked(io.RawIOBase):
    """Gives what is ready instead of waiting for more, so that damage takes nothing that came before it."""

    def __init__(self, file: BinaryIO, packing: str) -> None:
        self._file = file
        self._magic, self._new = PACKINGS[packing]
        self._unpacker: Any = None
        self._block = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            found = self._next(len(buffer))
        except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise DamagedArchiveError(str(error)) from None
        except Exception as error:  # zstd.ZstdError: its class is not imported for the others
            if type(error).__name__ != "ZstdError":
                raise
            raise DamagedArchiveError(str(error)) from None
        buffer[: len(found)] = found
        return len(found)

    def _next(self, size: int) -> bytes:
        while True:
            if self._unpacker is None and not self._begin():
                return b""
            if not self._block and not self._has_more():
                self._block = self._file.read(BLOCK)
                if not self._block:
                    raise EOFError("it ends too early")
            found = self._unpack(size)
            if self._unpacker.eof:
                self._block, self._unpacker = self._unpacker.unused_data, None
            if found:
                return found

    def _begin(self) -> bool:
        """Whether another packed stream follows; zero bytes at the end are padding."""
        is_first = self._file.tell() == 0
        self._block = self._block or self._file.read(BLOCK)
        if not is_first:
            while self._block and not self._block.strip(b"\0"):
                self._block = self._file.read(BLOCK)
            self._block = self._block.lstrip(b"\0")
        if not self._block:
            return False
        if len(self._block) < len(self._magic):
            self._block += self._file.read(BLOCK)
        if not self._block.startswith(self._magic):
            raise OSError("its first bytes are others" if is_first else "other bytes follow its end")
        self._unpacker = self._new()
        return True

    def _has_more(self) -> bool:
        """Whether the unpacker still holds what it was given."""
        tail = getattr(self._unpacker, "unconsumed_tail", None)
        return bool(tail) if tail is not None else not self._unpacker.needs_input

    def _unpack(self, size: int) -> bytes:
        block = getattr(self._unpacker, "unconsumed_tail", b"") or self._block
        self._block = b""
        found: bytes = self._unpacker.decompress(block, size)
        return found

    def close(self) -> None:
        self._file.close()
        super().close()
