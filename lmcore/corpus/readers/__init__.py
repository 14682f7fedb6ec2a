"""One file format a file: a reader turns a file into drafts of documents, in the file's order.

A reader is a function of one `InputFile`; its keyword-only parameters are its settings. Where the file as a
whole is of no use (or is not from some place on), it raises `UnreadableFileError`: the file is quarantined,
and the drafts before that are kept. A single record that is of no use becomes a draft with a `problem`: it is
rejected with that reason, and the rest goes on.

A format of which large files can be read in parts says where they may be cut: `@cutters.register("jsonl")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lmcore.corpus.inputs import InputFile, UnreadableFileError, excerpt_of, too_long
from lmcore.registry import Registry


class Draft(NamedTuple):
    """A document as its file gives it; `line` is its first line there (of a table: its row), from 1."""

    line: int
    title: str
    text: str
    problem: str = ""
    """Why this record cannot be a document, in words; empty when it can."""
    rule: str = ""
    """The kind of problem, in one word."""
    offset: int | None = None
    """The byte of the unpacked file at which the trouble begins."""
    lacks: tuple[str, ...] = ()
    """A field that the source names and that this record has not, and those it has: no problem by itself."""


Reader = Callable[..., Iterator[Draft]]
readers: Registry[Reader] = Registry("reader", "lmcore.corpus.readers")


class Cuts(NamedTuple):
    """Where a file may be cut: `starts[0]` is where the first record begins, behind a header."""

    starts: list[int]
    """Bytes, or what else the format counts in, such as row groups."""
    lines_before: list[int]
    """How much has to be added to the line numbers of each range but the first."""
    digests: list[str]
    """Of all that the documents of each range depend on."""


Cutter = Callable[..., Cuts | None]
"""`(file, size, **dials)`: ranges of about `size` bytes, or None where the file is better left whole."""


class Cutters(dict[str, Cutter]):
    """Reader -> where its files may be cut."""

    def register(self, reader: str) -> Callable[[Cutter], Cutter]:
        """Decorate the function that cuts files for a reader, in that reader's file."""

        def keep(cutter: Cutter) -> Cutter:
            self[reader] = cutter
            return cutter

        return keep


cutters = Cutters()


def missing_field(name: str, found: Iterable[str]) -> str:
    """Why a table or record is of no use that lacks the field which the source names."""
    there = ", ".join(map(str, sorted(found)[:20])) or "none"
    cure = "Name the right one in the source's reader (text_field, title_field)"
    return f"no field '{name}'; found {there}. {cure}"


def lacking(file: InputFile, name: str, found: Iterable[str]) -> UnreadableFileError:
    """The one line about a table without the field that the source names."""
    return UnreadableFileError(file.path, missing_field(name, found), "missing_field", 0)


def long_draft(file: InputFile, line: int, offset: int | None, content: bytes | str) -> Draft:
    """A record that is too long, with the first characters of it."""
    return Draft(line, "", excerpt_of(content), too_long(file.longest), "too_long", offset)
