"""Comma-separated values with a header, one document a row; `.gz` is unpacked.

Read by the standard library, because a document needs the line where its row begins, and because the reader
of `datasets` turns a text such as "NA" or "007" into a gap or a number.
"""

from __future__ import annotations

import csv as tables
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.corpus.readers import (
    DAMAGED,
    Draft,
    UnreadableFileError,
    missing_field,
    open_plain,
    readers,
    unreadable,
)

if TYPE_CHECKING:
    from _csv import Reader

LONGEST_FIELD = 1 << 30


@readers.register
def csv(
    file: Path, *, text_field: str = "text", title_field: str | None = None, delimiter: str = ","
) -> Iterator[Draft]:
    """One document for each row, its text from the column `text_field`.

    A row with bytes that are not UTF-8, or that is too short, becomes a draft with a problem.

    Raises:
        UnreadableFileError: the header lacks a field, or the quoting is broken.
    """
    tables.field_size_limit(LONGEST_FIELD)
    try:
        # A byte that is not UTF-8 becomes a lone surrogate, so that it spoils its own row and no other.
        with io.TextIOWrapper(open_plain(file), "utf-8-sig", "surrogateescape", newline="") as stream:
            rows = tables.reader(stream, delimiter=delimiter, strict=True)
            yield from _rows(file, rows, text_field, title_field)
    except tables.Error as error:
        raise UnreadableFileError(f"{file}: {error}; expected values between commas or quotes") from None
    except DAMAGED as error:
        raise unreadable(file, error) from None


def _rows(file: Path, rows: Reader, text_field: str, title_field: str | None) -> Iterator[Draft]:
    header = next(rows, [])
    for name in (text_field, title_field):
        if name is not None and name not in header:
            raise missing_field(file, name, header)
    text_column = header.index(text_field)
    title_column = header.index(title_field) if title_field else None
    end = rows.line_num
    for row in rows:
        start, end = end + 1, rows.line_num
        if row:
            title = row[title_column] if title_column is not None and title_column < len(row) else ""
            yield _draft(start, title, row, text_column, text_field)


def _draft(line: int, title: str, row: list[str], column: int, field: str) -> Draft:
    if column >= len(row):
        return Draft(line, _plain(title), "", f"the row has {len(row)} values, and none for '{field}'")
    text = _plain(row[column])
    problem = "" if text == row[column] else f"field '{field}' has bytes that are not UTF-8"
    return Draft(line, _plain(title), text, problem)


def _plain(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
