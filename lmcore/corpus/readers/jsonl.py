"""JSON Lines, one document a line.

Read by the standard library and not by `datasets.load_dataset`: that one stops at the first byte that is not
UTF-8, and does not say on which line a record stands. A test holds both equal on a file that both can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from lmcore.corpus.inputs import InputFile, excerpt_of
from lmcore.corpus.ranges import cut_after, measured
from lmcore.corpus.readers import Cuts, Draft, cutters, long_draft, missing_field, readers

BOM = b"\xef\xbb\xbf"


@readers.register
def jsonl(file: InputFile, *, text_field: str = "text", title_field: str | None = None) -> Iterator[Draft]:
    """One document for each line that is a JSON object with a string in `text_field`.

    A line that is not UTF-8, not JSON, too long, or has something else in that field becomes a draft with a
    problem.
    """
    for number, offset, line in file.lines():
        if offset == 0 and line.startswith(BOM):
            line, offset = line[3:], 3
        if len(line) > file.longest and not line.endswith(b"\n"):
            yield long_draft(file, number, offset, line)
        elif not line.isspace() and line:
            yield _draft(number, offset, line, text_field, title_field)


@cutters.register("jsonl")
def cut(file: Path, size: int, **_: object) -> Cuts | None:
    """After the end of any line: a JSON object spells its own line ends out."""
    return measured(file, cut_after(file, size), b"\n")


def _draft(number: int, offset: int, line: bytes, field: str, title_field: str | None) -> Draft:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        problem = f"byte {line[error.start]:#04x} at offset {error.start} of the line is not UTF-8"
        return Draft(number, "", excerpt_of(line), problem, "not_utf8", offset + error.start)
    except json.JSONDecodeError as error:  # its message is left out: it differs between versions of Python
        record, problem = None, f"not JSON, from character {error.pos}"
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        record, problem = None, "not JSON that can be read: it is nested too deeply, or holds a huge number"
    else:
        problem = "" if isinstance(record, dict) else f"not a JSON object but {type(record).__name__}"
    if problem:
        return Draft(number, "", excerpt_of(line.rstrip(b"\n")), problem, "unreadable_record", offset)
    if field not in record:
        problem = missing_field(field, record)
        return Draft(number, "", excerpt_of(line.rstrip(b"\n")), problem, "missing_field", offset)
    title = record.get(title_field) if title_field else None
    lacks = (title_field, *record) if title_field and title_field not in record else ()
    return checked(number, title, record[field], field, offset, lacks)


def checked(
    number: int,
    title: object,
    text: object,
    field: str,
    offset: int | None = None,
    lacks: tuple[str, ...] = (),
) -> Draft:
    """A draft of a record's two values, with a problem when the text is no string or no Unicode text."""
    name = title if isinstance(title, str) and is_text(title) else ""
    if not isinstance(text, str):
        problem = f"field '{field}' holds {type(text).__name__}, expected a string"
        return Draft(number, name, "", problem, "unreadable_record", offset)
    if not is_text(text):
        problem = f"field '{field}' holds half of a surrogate pair"
        return Draft(number, name, excerpt_of(text), problem, "not_utf8", offset)
    return Draft(number, name, text, lacks=lacks)


def is_text(value: str) -> bool:
    """Whether the string can be written as UTF-8 (JSON's escapes can spell half a surrogate pair)."""
    try:
        value.isascii() or value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
