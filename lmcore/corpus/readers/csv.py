"""Comma-separated values with a header, one document a row.

Read by the standard library, because a document needs the line where its row begins, and because the reader
of `datasets` turns a text such as "NA" or "007" into a gap or a number.
"""

from __future__ import annotations

import csv as tables
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from lmcore.corpus.encodings import encoding_of
from lmcore.corpus.inputs import EXCERPT, InputFile, UnreadableFileError, excerpt_of, too_long
from lmcore.corpus.quoting import cut_between_rows
from lmcore.corpus.ranges import measured
from lmcore.corpus.readers import Cuts, Draft, cutters, lacking, long_draft, readers

Columns = tuple[int, int | None]


@readers.register
def csv(
    file: InputFile,
    *,
    text_field: str = "text",
    title_field: str | None = None,
    delimiter: str = ",",
    encoding: Literal["utf-8", "auto"] = "utf-8",
) -> Iterator[Draft]:
    """One document for each row, its text from the column `text_field`.

    A row with bytes that are not UTF-8 or quotes that are broken, or that is too short or too long, becomes a
    draft with a problem.

    Raises:
        UnreadableFileError: the header lacks a field or cannot be read.
    """
    tables.field_size_limit(1 << 31)
    codec = encoding_of(file, encoding)
    columns = _columns(InputFile(file.path), codec, delimiter, text_field, title_field)
    with file.text(codec, "surrogateescape" if codec == "utf-8" else "replace") as stream:
        lines = _Lines(stream, file, codec)
        rows = tables.reader(lines, delimiter=delimiter, strict=True)
        if not file.start:
            next(rows)
        try:
            yield from _drafts(file, rows, lines, columns, text_field)
        except UnreadableFileError as error:
            raise UnreadableFileError(file.path, error.reason, error.rule, lines.row_offset) from None


@cutters.register("csv")
def cut(file: Path, size: int, delimiter: str = ",", encoding: str = "utf-8", **_: object) -> Cuts | None:
    """Between rows, where the quoting is so regular that its state is known from the quotes alone."""
    starts = cut_between_rows(file, size, delimiter) if encoding == "utf-8" else []
    return measured(file, starts, None)


def _columns(
    file: InputFile, codec: str, delimiter: str, text_field: str, title_field: str | None
) -> Columns:
    """Where text and title stand in a row, by the file's header."""
    with file.text(codec, "replace") as stream:
        lines = _Lines(stream, file, codec)
        try:
            header = next(tables.reader(lines, delimiter=delimiter, strict=True), [])
        except (tables.Error, _RowTooLongError) as error:
            reason = f"{error}; expected a header with the names of the columns"
            raise UnreadableFileError(file.path, reason, "unreadable_file", 0) from None
    if not header and not lines.offset:
        raise file.is_empty()
    for name in (text_field, title_field):
        if name is not None and name not in header:
            raise lacking(file, name, header)
    return header.index(text_field), header.index(title_field) if title_field else None


def _drafts(
    file: InputFile, rows: Iterator[list[str]], lines: _Lines, columns: Columns, field: str
) -> Iterator[Draft]:
    while True:
        lines.begin_row()
        try:
            row = next(rows)
        except StopIteration:
            return
        except _RowTooLongError:
            lines.pass_row()
            yield long_draft(file, lines.row_line, lines.row_offset, lines.row_start)
            continue
        except tables.Error as error:
            problem = f"{error}; expected values between commas or quotes"
            excerpt = excerpt_of(lines.row_start)
            yield Draft(lines.row_line, "", excerpt, problem, "unreadable_record", lines.row_offset)
            continue
        if row:
            yield _draft(row, lines, columns, field)


def _draft(row: list[str], lines: _Lines, columns: Columns, field: str) -> Draft:
    column, title_column = columns
    title = row[title_column] if title_column is not None and title_column < len(row) else ""
    if column >= len(row):
        problem = f"the row has {len(row)} values, and none for '{field}'"
        return Draft(lines.row_line, _plain(title), "", problem, "missing_field", lines.row_offset)
    text = _plain(row[column])
    if text == row[column]:
        return Draft(lines.row_line, _plain(title), text)
    problem = f"field '{field}' has bytes that are not UTF-8"
    return Draft(lines.row_line, _plain(title), excerpt_of(text), problem, "not_utf8", lines.row_offset)


def _plain(value: str) -> str:
    """Without the lone surrogates that stand for bytes which are not UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _RowTooLongError(Exception):
    """The row that is being read is longer than a document may be."""


class _Lines:
    """The lines of a file for the standard reader, never more of a row than a document may hold."""

    def __init__(self, stream: io.TextIOWrapper, file: InputFile, codec: str) -> None:
        self._stream, self._file, self._codec = stream, file, codec
        self.offset, self._line = file.start, 0
        self._is_ended = True
        self.begin_row()

    def begin_row(self) -> None:
        """What comes next belongs to another row."""
        self.row_line, self.row_offset, self.row_start = self._line + 1, self.offset, ""
        self._size = self._quotes = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._read()
        if not line:
            raise StopIteration
        if self._size > self._file.longest:
            raise _RowTooLongError(f"a row {too_long(self._file.longest)}")
        return line

    def pass_row(self) -> None:
        """Go on behind a row that is too long: its quotes tell where it ends."""
        while (self._quotes % 2 or not self._is_ended) and self._read():
            pass

    def _read(self) -> str:
        if self._file.end is not None and self.offset >= self._file.end:
            return ""
        line = self._stream.readline(self._file.longest + 2)
        if not self.offset and line.startswith("\ufeff"):
            line, self.offset = line[1:], 3
        size = len(line) if line.isascii() else len(line.encode(self._codec, "surrogateescape"))
        self.row_start = self.row_start or line[: EXCERPT * 2]
        self.offset += size
        self._size += size
        self._quotes += line.count('"')
        self._is_ended = line.endswith(("\n", "\r"))
        self._line += self._is_ended
        return line
