"""What is new, changed or gone between the documents that a model saw and those that there are now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

Kind = Literal["new", "changed", "gone"]
KINDS: tuple[Kind, ...] = ("new", "changed", "gone")
Place = tuple[str, str, str | int]


class Placed(Protocol):
    """A document, by its digest and by where it came from."""

    @property
    def digest(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def title(self) -> str: ...


class Change(NamedTuple):
    """A document that one side has and the other has not."""

    kind: Kind
    digest: str
    """Of the document as it is now; of one that is gone, as it was."""
    source: str
    file: str
    line: int
    title: str


def compare_documents(before: Iterable[Placed], now: Iterable[Placed]) -> list[Change]:
    """What changed, in the order of the documents, first those there are now, then those that are gone.

    Documents are the same if their digests are: one that moved to another file or line did not change. One is
    changed, rather than one new and another gone, where the title of a place, or else the line, stayed.
    """
    old, new = ({each.digest: each for each in documents} for documents in (before, now))
    gone = {digest: document for digest, document in old.items() if digest not in new}
    fresh = [document for digest, document in new.items() if digest not in old]
    replaced = _replaced(fresh, list(gone.values()))
    changes = [_change("changed" if each.digest in replaced else "new", each) for each in fresh]
    given_up = set(replaced.values())
    return changes + [_change("gone", each) for each in gone.values() if each.digest not in given_up]


def _replaced(fresh: Sequence[Placed], gone: Sequence[Placed]) -> dict[str, str]:
    """Digest of a new document -> digest of the one that stood in its place."""
    found: dict[str, str] = {}
    for mark in (_title, _line):
        places: defaultdict[Place, list[str]] = defaultdict(list)
        taken = set(found.values())
        for document in gone:
            if document.digest not in taken:
                places[mark(document)].append(document.digest)
        for document in fresh:
            place = mark(document)
            if place[2] and document.digest not in found and places[place]:
                found[document.digest] = places[place].pop(0)
    return found


def _title(document: Placed) -> Place:
    return document.source, document.file, document.title


def _line(document: Placed) -> Place:
    return document.source, document.file, document.line


def _change(kind: Kind, document: Placed) -> Change:
    return Change(kind, document.digest, document.source, document.file, document.line, document.title)
