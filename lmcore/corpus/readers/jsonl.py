"""JSON Lines, one document a line; `.gz` is unpacked.

Read by the standard library and not by `datasets.load_dataset`: that one stops at the first byte that is not
UTF-8, and does not say on which line a record stands. A test holds both equal on a file that both can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from lmcore.corpus.readers import (
    DAMAGED,
    Draft,
    UnreadableFileError,
    missing_field,
    open_plain,
    readers,
    unreadable,
)


@readers.register
def jsonl(file: Path, *, text_field: str = "text", title_field: str | None = None) -> Iterator[Draft]:
    """One document for each line that is a JSON object with a string in `text_field`.

    A line that is not UTF-8, not JSON, or has something else in that field becomes a draft with a problem.

    Raises:
        UnreadableFileError: the first record has no such field, or is not a JSON object.
    """
    try:
        with open_plain(file) as stream:
            is_first = True
            for number, line in enumerate(stream, start=1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    draft = _draft(file, number, line, text_field, title_field, is_first)
                    is_first = is_first and bool(draft.problem)
                    yield draft
    except DAMAGED as error:
        raise unreadable(file, error) from None


def _draft(
    file: Path, number: int, line: bytes, field: str, title_field: str | None, is_first: bool
) -> Draft:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        problem = f"byte {line[error.start]:#04x} at offset {error.start} of the line is not UTF-8"
        return Draft(number, "", line.decode("utf-8", errors="replace"), problem)
    except json.JSONDecodeError as error:  # its message is left out: it differs between versions of Python
        record, problem = None, f"not JSON, from character {error.pos}"
    except RecursionError:
        record, problem = None, "not JSON that can be read: it is nested too deeply"
    else:
        problem = "" if isinstance(record, dict) else f"not a JSON object but {type(record).__name__}"
    if problem:
        if is_first:
            raise UnreadableFileError(f"{file}: line {number} is {problem}; expected one JSON object a line")
        return Draft(number, "", line.decode("utf-8").rstrip("\n"), problem)
    if is_first:
        for name in (field, title_field):
            if name is not None and name not in record:
                raise missing_field(file, name, sorted(record))
    title = record.get(title_field) if title_field else None
    return checked(number, title, record.get(field), field)


def checked(number: int, title: object, text: object, field: str) -> Draft:
    """A draft of a record's two values, with a problem when the text is no string or no Unicode text."""
    name = title if isinstance(title, str) and is_text(title) else ""
    if not isinstance(text, str):
        return Draft(number, name, "", f"field '{field}' holds {type(text).__name__}, expected a string")
    if not is_text(text):
        whole = text.encode("utf-8", errors="replace").decode("utf-8")
        return Draft(number, name, whole, f"field '{field}' holds half of a surrogate pair")
    return Draft(number, name, text)


def is_text(value: str) -> bool:
    """Whether the string can be written as UTF-8 (JSON's escapes can spell half a surrogate pair)."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
