"""The file that somebody asks for: at every place, and with all the bytes, that manifests know of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lmcore.config import SettingsError
from lmcore.lineage import Manifest, file_digest
from tasks.artifacts import SourceFiles
from tasks.engine.workspace import Workspace
from tasks.forgetting.ledger import Forgotten, Place, place_of, read_forgotten
from tasks.ingest import FETCHED
from tasks.lineage.find import known_products
from tasks.lineage.graph import RECORD, inputs_in

BY_PATH, BY_BYTES, BY_BOTH = "by path", "by bytes", "by path and bytes"
Occurrences = Mapping[Place, frozenset[str]]
"""Each place of a file, with the SHA-256 of all that lay there when it was read."""


@dataclass(frozen=True)
class Subject:
    """A file."""

    given: str
    file: Path | None
    """Where it lies, if it does."""
    digest: str | None
    """SHA-256 of what is in it now."""
    seen: Occurrences
    """Where it was read from; empty if nobody has read it."""
    lines: tuple[Forgotten, ...] = ()
    """Of `forgotten.jsonl`, that cover it."""

    @property
    def digests(self) -> frozenset[str]:
        """Of all bytes that it had, or has."""
        known = frozenset().union(*self.seen.values(), *(line.sha256 for line in self.lines))
        return known | ({self.digest} if self.digest else frozenset())

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(sorted({*self.seen, *(place for line in self.lines for place in line.places)}))

    def is_named(self, source: str, file: str) -> bool:
        """Whether a document of this source and file is one of its."""
        return any((place.source, place.file) == (source, file) for place in self.places)

    def how(self, place: Place) -> str:
        """Why a place is one of its: its path, its bytes, or both."""
        by_bytes = self.digest is not None and self.digest in self.seen.get(place, ())
        return BY_BYTES if not _is_at(place, self.given) else BY_BOTH if by_bytes else BY_PATH

    def is_in(self, files: SourceFiles) -> bool:
        """Whether a product that read these files has read it."""
        return any(
            self.is_named(files.name, file) or digest in self.digests for file, digest in files.files.items()
        )


def find_subject(workspace: Workspace, given: str) -> Subject:
    """The file by its path, as one has it, or as SOURCE/FILE; also one that was deleted since it was read.

    Raises:
        SettingsError: there is no such file, and there never was one here.
    """
    spelled = [str(path) for path in _spellings(workspace, given)]
    file = next((Path(path) for path in spelled if os.path.lexists(path)), None)
    if file and not file.is_file():
        raise SettingsError(f"{given} is no file; name one file, such as {given.rstrip('/')}/NAME")
    digest = file_digest(file) if file else None
    known = known_occurrences(workspace)
    lines = read_forgotten(workspace)
    names = {given, *spelled, *(os.path.realpath(path) for path in spelled)}
    if file is None and (file := _at_its_place(known, names, workspace)):
        digest = file_digest(file)
    lines = [line for line in lines if digest in line.sha256 or _are_at(line.places, names, workspace)]
    digests = {digest} | {each for line in lines for each in line.sha256}
    at_path = {place for place in known if _are_at([place], names, workspace)}
    digests |= {each for place in at_path for each in known[place]}
    seen = {
        place: known[place] if place in at_path else known[place] & digests
        for place in known
        if place in at_path or known[place] & digests
    }
    if file is None and not seen and not lines:
        near = get_close_matches(given, [text for place in known for text in (str(place), place.path)], n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise SettingsError(f"no file {given}, and no product has seen one of that name.{hint}")
    return Subject(str(file or given), file, digest, seen, tuple(lines))


def known_occurrences(workspace: Workspace) -> dict[Place, frozenset[str]]:
    """Every file that any product or registered version has ever read, as far as is known."""
    found: dict[Place, set[str]] = {}
    roots: dict[tuple[str, str], Path] = {}
    for source in known_sources(workspace):
        known = (source.address, source.name)
        root = roots.setdefault(known, root_of_source(workspace, source))
        for file, digest in source.files.items():
            place = place_of(workspace, source.name, root, file)
            found.setdefault(place, set()).add(digest)
    return {place: frozenset(digests) for place, digests in found.items()}


def known_sources(workspace: Workspace) -> Iterator[SourceFiles]:
    """All that any product or registered version was read from; many of them more than once."""
    from tasks.tracking.versions import versions

    for manifest in known_products(workspace):
        yield from sources_in(manifest)
    for version in versions(workspace.root):
        yield from sources_in_record(version.home / RECORD)


def sources_in(manifest: Manifest) -> Iterator[SourceFiles]:
    """The sources that a product was read from."""
    yield from (each for _, each in inputs_in(manifest) if isinstance(each, SourceFiles))


def sources_in_record(record: Path) -> Iterator[SourceFiles]:
    """The sources that a registered version's record names; none where it does not read."""
    try:
        products = json.loads(record.read_text(encoding="utf-8"))["products"]
        for called, entry in products.items():
            if "files" in entry:
                address = called.partition("@")[0]
                yield SourceFiles(address, entry["name"], entry["digest"], files=entry["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return


def root_of_source(workspace: Workspace, source: SourceFiles) -> Path:
    """The folder in which a source's files lie; one in `data/sources` may say that it is elsewhere."""
    from lmcore.corpus.sources import DESCRIPTION, load_source, root_of

    folder = workspace.path(source.address)
    if folder.parent == workspace.sources and (folder / DESCRIPTION).is_file():
        try:
            return Path(os.path.normpath(root_of(load_source(folder), folder, workspace.private / FETCHED)))
        except SettingsError:
            return folder
    return folder


def _spellings(workspace: Workspace, given: str) -> Iterator[Path]:
    """What a path may mean: as it is from here, from the workspace, or as SOURCE/FILE in `data/sources`."""
    path = Path(given).expanduser()
    for start in (Path.cwd(), workspace.root, workspace.sources):
        yield Path(os.path.normpath(start / path))


def _at_its_place(known: Iterable[Place], names: set[str], workspace: Workspace) -> Path | None:
    """Where a file lies that was asked for as SOURCE/FILE."""
    paths = (workspace.path(place.path) for place in known if _are_at([place], names, workspace))
    return next((path for path in paths if path.is_file()), None)


def _are_at(places: Iterable[Place], names: set[str], workspace: Workspace) -> bool:
    return any(
        str(place) in names
        or (path := str(workspace.path(place.path))) in names
        or os.path.realpath(path) in names
        for place in places
    )


def _is_at(place: Place, given: str) -> bool:
    """Whether a place ends as the file's path does: a workspace may have moved since."""
    return str(place) == given or Path(given).parts[-len(Path(place.file).parts) :] == Path(place.file).parts
