"""One file format a file: a reader turns a file into drafts of documents, in the file's order.

A reader is a function of one file; its keyword-only parameters are its settings. If the file as a whole is of
no use, it raises `UnreadableFileError`, with one line for the user, before its first draft. A single record
that is of no use becomes a draft with a `problem`: it is rejected with that reason, and the rest goes on.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from lmcore.registry import Registry


@dataclass(frozen=True, slots=True)
class Draft:
    """A document as its file gives it; `line` is its first line there (of a table: its row), from 1."""

    line: int
    title: str
    text: str
    problem: str = ""
    """Why this record cannot be a document, in words; empty when it can."""


class UnreadableFileError(ValueError):
    """A file that cannot be read as its source says: what came, where, and the cure."""


DAMAGED = (OSError, EOFError, zlib.error)
"""What reading a file may raise, one that is packed included."""

readers: Registry[Callable[..., Iterator[Draft]]] = Registry("reader", "lmcore.corpus.readers")


def open_plain(file: Path) -> BinaryIO:
    """The file's bytes, unpacked when it ends in `.gz`."""
    return cast(BinaryIO, gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def read_bytes(file: Path) -> bytes:
    """The whole file, unpacked; raises UnreadableFileError for a damaged `.gz`."""
    try:
        with open_plain(file) as stream:
            return stream.read()
    except DAMAGED as error:
        raise unreadable(file, error) from None


def unreadable(file: Path, error: Exception) -> UnreadableFileError:
    """The one line about a file that could not be opened or unpacked."""
    if isinstance(error, OSError) and error.errno:
        return UnreadableFileError(f"{file}: {error.strerror}; expected a file that can be read")
    return UnreadableFileError(f"{file}: damaged gzip ({error}); make the file again from its origin")


def missing_field(file: Path, field: str, found: list[str]) -> UnreadableFileError:
    """The one line about a table or record without the field that the source names."""
    return UnreadableFileError(
        f"{file}: no field '{field}'; found {', '.join(found) or 'none'}. "
        "Name the right one in the source's reader (text_field, title_field)"
    )


def bad_byte(data: bytes) -> int | None:
    """The offset of the first byte that is not UTF-8 text (a zero byte is not text); None if all is."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        zero = data.find(b"\0", 0, error.start)
        return error.start if zero < 0 else zero
    zero = data.find(b"\0")
    return None if zero < 0 else zero
