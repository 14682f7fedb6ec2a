"""Which documents a model was made with, row by row, and how two such lists differ."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.lineage import read_manifest
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace
from tasks.lineage.graph import Node, ordered

if TYPE_CHECKING:
    from lmcore.batching.seen import SeenDocument

SIDES = ("train", "validation", "test")
CORPUS = "split_corpus"
Place = tuple[str | int, ...] | None
Places = dict[Place, "SeenDocument"]
COLUMNS = ("digest", "source", "file", "line", "title")


@dataclass(frozen=True)
class Changes:
    """From one list of documents to another."""

    new: tuple[SeenDocument, ...]
    gone: tuple[SeenDocument, ...]
    rewritten: tuple[tuple[SeenDocument, SeenDocument], ...]
    """Another text in the same place."""
    moved: tuple[tuple[SeenDocument, SeenDocument], ...]
    """The same text on another side."""
    num_same: int


def documents_behind(workspace: Workspace, root: Node, home: Path | None = None) -> list[SeenDocument] | None:
    """Every document behind a product, with its side; None where no copy of that list is left.

    Args:
        home: the folder of a registered version, in which the list may lie.
    """
    from lmcore.batching.seen import FILE, read_seen

    if home and (home / FILE).is_file():
        return read_seen(home)
    found: list[SeenDocument] = []
    for corpus in (node for node in ordered(root) if node.step == CORPUS):
        with folder_of(workspace, corpus) as folder:
            if folder is None:
                return None
            found += _documents_in(folder)
    return found or None


def compare(was: Sequence[SeenDocument], now: Sequence[SeenDocument]) -> Changes:
    """What was added, removed, rewritten and put on another side.

    Documents with equal text are the same wherever they lie; of the rest, those of one file with the same
    title, or in the same line, are one document before and after.
    """
    before = {each.digest: each for each in was}
    after = {each.digest: each for each in now}
    gone = [each for each in was if each.digest not in after]
    new = [each for each in now if each.digest not in before]
    same = [(before[digest], each) for digest, each in after.items() if digest in before]
    changed = _pairs(gone, new)
    old, fresh = {one.digest for one, _ in changed}, {other.digest for _, other in changed}
    return Changes(
        new=tuple(each for each in new if each.digest not in fresh),
        gone=tuple(each for each in gone if each.digest not in old),
        rewritten=tuple(changed),
        moved=tuple((one, other) for one, other in same if one.side != other.side),
        num_same=len(same),
    )


def _pairs(
    gone: Iterable[SeenDocument], new: Iterable[SeenDocument]
) -> list[tuple[SeenDocument, SeenDocument]]:
    """Rewritten documents: first by title, what is left by line."""
    pairs = []
    left, right = list(gone), list(new)
    for place in (_title, _line):
        before = _unique(left, place)
        after = _unique(right, place)
        found = [(before[where], after[where]) for where in before if where in after]
        pairs += found
        old, fresh = {one for one, _ in found}, {other for _, other in found}
        left, right = (
            [each for each in left if each not in old],
            [each for each in right if each not in fresh],
        )
    return pairs


def _title(each: SeenDocument) -> Place:
    return (each.source, each.file, each.title) if each.title else None


def _line(each: SeenDocument) -> Place:
    return each.source, each.file, each.line


def _unique(documents: Sequence[SeenDocument], place: Callable[[SeenDocument], Place]) -> Places:
    """By place, those that are alone there."""
    places: dict[Place, list[SeenDocument]] = {}
    for each in documents:
        if (where := place(each)) is not None:
            places.setdefault(where, []).append(each)
    return {where: found[0] for where, found in places.items() if len(found) == 1}


@contextmanager
def folder_of(workspace: Workspace, node: Node) -> Iterator[Path | None]:
    """Where the bytes of a data product are: in their place, else written out of DVC's cache for a while."""
    folder = workspace.path(node.address)
    if _holds(folder, node.digest):
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch) if _restore(workspace, node, Path(scratch)) else None


def _holds(folder: Path, digest: str) -> bool:
    try:
        return read_manifest(folder).digest == digest
    except (OSError, ValueError):
        return False


def _restore(workspace: Workspace, node: Node, into: Path) -> bool:
    """Write a version that has been replaced since out of DVC's cache, if that has all of it."""
    from tasks.versioning import VersioningError, has, restore

    copies = Store(workspace).copies(node.manifest.key) if node.manifest else None
    if copies is None or not has(workspace.root, copies.dvc):
        return False
    try:
        restore(workspace.root, copies.dvc, into)
    except VersioningError:
        return False
    return True


def _documents_in(corpus: Path) -> Iterator[SeenDocument]:
    from lmcore.batching.seen import SeenDocument
    from lmcore.corpus.document import Document, read

    for side in SIDES:
        for each in read(corpus / f"{side}.parquet", Document, COLUMNS):
            yield SeenDocument(each.digest, side, each.source, each.file, each.line, each.title)
