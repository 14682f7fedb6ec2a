"""All that has to go: data by its lineage, everything else by the words that it repeats.

Data products that come from the file go as a whole, whatever of it they hold. Reports, pages, logs and
attachments go if they quote it. Weights stay, and so does what is the user's own: that is only told of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lmcore.lineage import read_manifest
from tasks.engine.leftovers import CATALOGUE, PIECES, TRASH, build_locks, half_moved, size_of, unfinished
from tasks.engine.reach import RUN_HOMES, product_folders
from tasks.engine.workspace import Workspace
from tasks.forgetting.caches import cached_items
from tasks.forgetting.copies import texts_kept
from tasks.forgetting.quotes import Quotes
from tasks.forgetting.rows import quoting_databases
from tasks.forgetting.sightings import Sightings
from tasks.forgetting.subject import known_sources, root_of_source
from tasks.forgetting.texts import texts_of

DATABASE, PRODUCT, SOURCE = "database", "product", "source"
ALIKE = 0.5
"""A file that has this share of the forgotten one's runs of words is told of."""
WITHOUT_TEXT = (
    "manifests",
    "proofs",
    "locks",
    "copies",
    "readable",
    "forgetting",
    "scratch",
    "aside",
    CATALOGUE,
    PIECES,
    TRASH,
)
"""Folders of `.lm` that hold none, or that are seen to by themselves."""


@dataclass(frozen=True)
class Item:
    """Something that goes."""

    kind: str
    path: Path
    why: str
    locks: tuple[Path, ...] = ()
    """Held by whoever uses it."""

    @property
    def size(self) -> int:
        """Bytes."""
        return size_of([self.path])


@dataclass
class Findings:
    """What goes, and what is told of because it stays."""

    quotes: Quotes
    items: list[Item] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def add(self, items: Iterable[Item | str]) -> None:
        """Sort items from remarks; nothing twice, and nothing in what goes already."""
        known = {item.path for item in self.items}
        for each in items:
            if isinstance(each, str):
                self.kept.append(each)
            elif known.isdisjoint((each.path, *each.path.parents)):
                self.items.append(each)
                known.add(each.path)


def find_all(seen: Sightings) -> Findings:
    """Everything in the workspace that holds text of the file."""
    quotes = Quotes(_texts_of_subject(seen))
    found = Findings(quotes)
    found.add(_alike(seen, quotes))
    found.add(_data(seen))
    found.add(_reports(seen, quotes))
    found.add(_leftovers(seen, quotes))
    found.add(Item(*each) if isinstance(each, tuple) else each for each in cached_items(seen, quotes))
    found.add(_quoting_files(seen, quotes))
    found.add(
        Item(DATABASE, path, "has rows that quote it") for path in quoting_databases(seen.workspace, quotes)
    )
    found.add(_own_file(seen))
    return found


def _texts_of_subject(seen: Sightings) -> Iterator[str]:
    """What the file says, and what copies of the products that read it know that it said, also long ago."""
    if seen.subject.file:
        yield from texts_of(seen.subject.file)
    for files in seen.readings:
        yield from texts_kept(files, seen.subject)


def _alike(seen: Sightings, quotes: Quotes) -> Iterator[str]:
    """Other files that say the same; what they say may stay, so it is no quote."""
    if not quotes:
        return
    for name, path in _other_files(seen):
        try:
            share = quotes.leave_out(texts_of(path, path.name))
        except OSError:
            continue
        if share >= ALIKE:
            cure = f"if it should go too: lm forget {path}"
            yield f"{name} says much the same ({share:.0%} of its words); {cure}"


def _other_files(seen: Sightings) -> Iterator[tuple[str, Path]]:
    """Every file that some product was read from, and that is not to be forgotten."""
    told: set[Path] = set()
    for source in known_sources(seen.workspace):
        root = root_of_source(seen.workspace, source)
        for file, digest in source.files.items():
            path = root / file
            is_other = not seen.subject.is_named(source.name, file) and digest not in seen.subject.digests
            if is_other and path not in told and path.is_file():
                told.add(path)
                yield f"{source.name}/{file}", path


def _data(seen: Sightings) -> Iterator[Item]:
    """Data products in their places that come from the file; of damaged ones, those of such a name."""
    names = {each.address for each in seen.products if each.address.startswith("data/")}
    for folder in product_folders(seen.workspace):
        address, known = seen.workspace.address(folder), seen.reach.products.get(folder)
        if not address.startswith("data/"):
            continue
        if known.key in seen.keys if known else address in names:
            yield Item(PRODUCT, folder, "was made from it", _locks(seen.workspace, address))


def _reports(seen: Sightings, quotes: Quotes) -> Iterator[Item | str]:
    """Reports that quote it; models that do are told of, for their weights stay."""
    for folder in product_folders(seen.workspace):
        home, address = folder.parent.name, seen.workspace.address(folder)
        if home in RUN_HOMES and any(quotes.are_in(path) for path in _files(folder)):
            if home == "models":
                yield f"the samples of {address} quote it; they go with the weights: --retire"
            else:
                yield Item("report", folder, "quotes it", _locks(seen.workspace, address))


def _leftovers(seen: Sightings, quotes: Quotes) -> Iterator[Item]:
    """Half-made products, and those that were set aside, unless they are known to come from elsewhere."""
    workspace = seen.workspace
    for each in unfinished(workspace):
        if not each.can_go_on or any(map(quotes.are_in, _files(each.folder))):
            yield Item("leftover", each.folder, "half made", tuple(build_locks(workspace, each.last)))
    for folder in sorted((workspace.private / "aside").glob("*")):
        if not _is_innocent(seen, folder):
            yield Item("leftover", folder, "was set aside")
    for folder in half_moved(workspace):
        yield Item("leftover", folder, "was on its way")
    for folder in workspace.private.glob(f"{PIECES}/*"):
        yield Item("leftover", folder, "pieces of its work, which the next run makes again")
    for folder in sorted(workspace.private.glob(f"{CATALOGUE}/*")):
        if any(key.startswith(folder.name) for key in seen.keys):
            yield Item("leftover", folder, "counts of a corpus or shards that were made from it")
    for path in [*workspace.private.glob(f"{TRASH}/*"), *workspace.root.glob(".dvc/tmp/damaged/*")]:
        yield Item("leftover", path, "thrown away, or damaged")


def _is_innocent(seen: Sightings, folder: Path) -> bool:
    try:
        key = read_manifest(folder).key
    except (OSError, ValueError):
        return False
    return key in seen.reach.remembered and key not in seen.keys


def _quoting_files(seen: Sightings, quotes: Quotes) -> Iterator[Item | str]:
    """Pages, artifacts and notes that quote it; what the user has written is only told of."""
    if not quotes:
        return
    root, copies = seen.workspace.root, _copies_of_models(seen)
    for path in _swept(seen.workspace):
        address = seen.workspace.address(path)
        if (seen.subject.file and path.samefile(seen.subject.file)) or not quotes.are_in(path):
            continue
        if any(path.is_relative_to(copy) for copy in copies):
            yield f"{address} quotes it; it goes with the weights: --retire"
        elif address.startswith(("reports/runs/", "mlartifacts/")):
            kind = "page" if path.suffix == ".html" else "attachment"
            yield Item(kind, path, "quotes it")
        elif path.is_relative_to(seen.workspace.private):
            yield Item("note", path, "quotes it")
        else:
            yield f"{path.relative_to(root)} quotes it and is yours, so it is left alone"


def _copies_of_models(seen: Sightings) -> list[Path]:
    from tasks.tracking.versions import versions

    return [version.folder for version in versions(seen.workspace.root)]


def _swept(workspace: Workspace) -> Iterator[Path]:
    """Every file but products, caches, databases, code and sources that are read from."""
    skipped = {workspace.private / name for name in WITHOUT_TEXT} | {workspace.sources}
    skipped |= set(product_folders(workspace)) | {workspace.root / ".git", workspace.root / ".dvc"}
    for folder, folders, files in os.walk(workspace.root):
        here = Path(folder)
        is_code = "pyvenv.cfg" in files or here.name in ("site-packages", "__pycache__")
        folders[:] = [] if is_code else [name for name in folders if here / name not in skipped]
        plain = (here / name for name in ([] if is_code else files) if ".db" not in name)
        yield from (path for path in plain if path.is_file() and not path.is_symlink())


def _own_file(seen: Sightings) -> Iterator[Item | str]:
    """The file itself: inside of `data/sources` it is the workspace's, elsewhere the user's."""
    file = seen.subject.file
    if file and file.is_relative_to(seen.workspace.sources):
        yield Item(SOURCE, file, "the file itself")
        if any((folder / ".git").exists() for folder in file.parents):
            yield "git's history may have it still (git log -- FILE); to rewrite that is up to you"
    elif file and file.is_relative_to(seen.workspace.private):
        yield Item(SOURCE, file, "the copy of the file that was fetched")
        yield "the file itself stays where it was fetched from, but is never read again"
    elif file:
        yield f"{file} itself is yours and outside of data/sources: it is left alone, but never read again"


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _locks(workspace: Workspace, address: str) -> tuple[Path, ...]:
    name = address.replace("/", "~")
    return tuple(workspace.private / "locks" / f"{name}.{kind}" for kind in ("build", "use"))
