"""A file that is being read, or a range of it, never more of it in memory than one document may hold."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lmcore.corpus.unpacking import DamagedArchiveError, open_unpacked

LONGEST = 20_000_000
"""Bytes of a document, unless a source says otherwise."""
EXCERPT = 2_000
"""Characters that are kept of what could not be read."""
SKIPPED_AT_ONCE = 1 << 20


class UnreadableFileError(ValueError):
    """A file that cannot be read as its source says: where, what came, and the cure.

    Args:
        where: the file, or a place in it.
        reason: the rest of the line, without the path: it may stand in a product.
        rule: which kind of trouble it is, in one word.
        offset: the byte of the unpacked file at which the trouble begins.
        excerpt: the first characters of what could not be read.
    """

    def __init__(
        self,
        where: object,
        reason: str,
        rule: str = "unreadable_file",
        offset: int | None = None,
        excerpt: str = "",
    ) -> None:
        super().__init__(where, reason, rule, offset, excerpt)
        self.where, self.reason, self.rule, self.offset, self.excerpt = where, reason, rule, offset, excerpt

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True)
class InputFile:
    """A file, or the range of a plain one that begins at `start` and ends before `end`."""

    path: Path
    start: int = 0
    end: int | None = None
    """None: its end. A range begins and ends where a record does."""
    longest: int = LONGEST
    """Bytes above which a document is too long."""

    @property
    def is_cut(self) -> bool:
        """Whether it is one range of several."""
        return self.start > 0 or self.end is not None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The unpacked bytes, from `start` on.

        Raises:
            UnreadableFileError: it cannot be opened, or is damaged, also while it is read.
        """
        try:
            with open_unpacked(self.path) as stream:
                if self.start:
                    stream.seek(self.start)
                yield stream
        except DamagedArchiveError as error:
            reason = f"damaged archive ({error}); make the file again from its origin"
            raise UnreadableFileError(self.path, reason, "damaged_archive") from None
        except OSError as error:
            reason = f"{error.strerror or error}; expected a file that can be read"
            raise UnreadableFileError(self.path, reason) from None

    def read(self) -> bytes:
        """All unpacked bytes of a whole file.

        Raises:
            UnreadableFileError: it is damaged, empty, or longer than one document may be.
        """
        found = bytearray()
        try:
            with self.open() as stream:
                while len(found) <= self.longest and (block := stream.read1(1 << 20)):  # type: ignore[attr-defined]
                    found += block
        except UnreadableFileError as error:
            raise UnreadableFileError(
                self.path, error.reason, error.rule, len(found), excerpt_of(found)
            ) from None
        if not found:
            raise self.is_empty()
        if len(found) > self.longest:
            raise UnreadableFileError(self.path, too_long(self.longest), "too_long", 0, excerpt_of(found))
        return bytes(found)

    def lines(self) -> Iterator[tuple[int, int, bytes]]:
        """Number from 1, offset in the whole file, and bytes of each line that begins here, its end included.

        A line that is too long is cut to one byte more than `longest`.

        Raises:
            UnreadableFileError: it is damaged (after the whole lines before the damage), or empty.
        """
        number, offset = 0, self.start
        try:
            with self.open() as stream:
                while (self.end is None or offset < self.end) and (line := stream.readline(self.longest + 1)):
                    number += 1
                    yield number, offset, line
                    offset += len(line)
                    if len(line) > self.longest and not line.endswith(b"\n"):
                        offset += skip_line(stream)
        except UnreadableFileError as error:
            raise UnreadableFileError(self.path, error.reason, error.rule, offset) from None
        if not number:
            raise self.is_empty()

    @contextmanager
    def text(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> Iterator[io.TextIOWrapper]:
        """The file as text, line ends as they are; bytes that are not in the encoding become lone surrogates.

        Raises:
            UnreadableFileError: as `open` does.
        """
        with self.open() as stream, io.TextIOWrapper(stream, encoding, errors, newline="") as text:
            yield text

    def is_empty(self) -> UnreadableFileError:
        """The one line about a file without a byte."""
        reason = "the file is empty; fill it, or leave it out of the source's files"
        return UnreadableFileError(self.path, reason, "empty_file", 0)


def skip_line(stream: BinaryIO) -> int:
    """Pass over the rest of a line; returns how many bytes that was."""
    skipped = 0
    while block := stream.readline(SKIPPED_AT_ONCE):
        skipped += len(block)
        if block.endswith(b"\n"):
            break
    return skipped


def too_long(longest: int) -> str:
    """Why a document is not taken."""
    return f"longer than {longest:,} bytes (max_document_bytes of the source)"


def excerpt_of(content: bytes | bytearray | str) -> str:
    """The first characters of something, as text that can be written down."""
    if isinstance(content, str):
        content = content[:EXCERPT].encode("utf-8", "replace")
    return bytes(content[: 4 * EXCERPT]).decode("utf-8", "replace")[:EXCERPT]


def bad_byte(data: bytes) -> int | None:
    """The offset of the first byte that is not UTF-8 text (a zero byte is not text); None if all is."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        zero = data.find(b"\0", 0, error.start)
        return error.start if zero < 0 else zero
    zero = data.find(b"\0")
    return None if zero < 0 else zero
