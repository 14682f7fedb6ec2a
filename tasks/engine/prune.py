"""`lm prune`: take away what nobody can reach any more, see `reach.py`; what is needed again is made again.

A product goes under its own locks, in one rename: a reader finds the whole of it, or nothing. What somebody
uses at that moment stays. Data in its place is never taken away, only copies of versions that nobody names.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tasks.engine.leftovers import (
    CATALOGUE,
    PIECES,
    build_locks,
    hold_all,
    remove,
    size_of,
    unfinished,
)
from tasks.engine.locks import is_held, try_lock
from tasks.engine.notes import kept_versions, unneeded_notes
from tasks.engine.reach import RUN_HOMES, Reach, links
from tasks.engine.workspace import Workspace

DAY = 86_400.0


@dataclass(frozen=True)
class Item:
    """Something that goes."""

    kind: str
    """`product`, `link`, `unfinished work`, `piece`, `set aside`, `page`, `note` or `DVC object`."""
    path: Path
    why: str
    size: int
    locks: tuple[Path, ...] = ()
    """Held by whoever uses it."""
    key: str | None = None
    """A product's."""


@dataclass(frozen=True)
class Pruned:
    """What went, or would go."""

    items: list[Item] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """What was left alone, and why, in words."""

    def totals(self) -> dict[str, tuple[int, int]]:
        """Kind -> how many, and how many bytes."""
        kinds = dict.fromkeys(item.kind for item in self.items)
        of = {kind: [item.size for item in self.items if item.kind == kind] for kind in kinds}
        return {kind: (len(sizes), sum(sizes)) for kind, sizes in of.items()}


def prune(workspace: Workspace, *, days: float = 14, is_dry_run: bool = False) -> Pruned:
    """Take away what cannot be reached and was not used for so many days.

    Raises:
        ValueError: the registry does not read, so what it holds is not known.
    """
    reach, done = Reach(workspace, since=time.time() - days * DAY), Pruned()
    for part in (_products, _unfinished, _pieces, _counts, _aside, _pages):
        for item in part(reach):
            _take(reach, item, done, is_dry_run)
    gone = {item.path for item in done.items}
    for path, why in unneeded_notes(reach, gone):
        _take(reach, Item("note", path, why, size_of([path])), done, is_dry_run)
    for link in links(workspace):
        if not link.exists() or link.parent / link.readlink() in gone or link.resolve() in gone:
            _take(reach, Item("link", link, "leads to what is gone", 0), done, is_dry_run)
    _take_objects(reach, done, is_dry_run)
    if not is_dry_run:
        _tidy(workspace)
    return done


def _take(reach: Reach, item: Item, done: Pruned, is_dry_run: bool) -> None:
    with ExitStack() as held:
        is_free = not any(map(is_held, item.locks)) if is_dry_run else hold_all(item.locks, held)
        # A run may have taken a product up since it was found out that nobody needs it.
        if not is_free or (item.key and reach.is_recent(item.key)):
            done.kept.append(f"{reach.workspace.address(item.path)} is in use")
            return
        if not is_dry_run:
            remove(reach.workspace, item.path)
        done.items.append(item)


def _products(reach: Reach) -> Iterator[Item]:
    for folder, manifest in reach.products.items():
        is_in_its_place = folder.parent.name in RUN_HOMES and folder.name.endswith(manifest.key[:12])
        if is_in_its_place and manifest.key not in reach.keys:
            name = f"{folder.parent.name}~{folder.name}"
            locks = tuple(reach.workspace.private / "locks" / f"{name}.{kind}" for kind in ("build", "use"))
            why = f"{manifest.step} {manifest.name}"
            yield Item("product", folder, why, size_of([folder]), locks, manifest.key)


def _unfinished(reach: Reach) -> Iterator[Item]:
    """Half-made products: those that can be gone on with only when they are old."""
    for each in unfinished(reach.workspace):
        if not each.can_go_on or each.age_from < reach.since:
            why = "left unfinished long ago" if each.can_go_on else "a killed run left it"
            locks = tuple(build_locks(reach.workspace, each.last))
            yield Item("unfinished work", each.folder, why, size_of([each.folder]), locks)


def _pieces(reach: Reach) -> Iterator[Item]:
    """What no run has taken up for long; to take it up touches it."""
    for piece in sorted((reach.workspace.private / PIECES).glob("*/*/[!.]*")):
        if piece.stat().st_mtime < reach.since:
            yield Item("piece", piece, "work that no run has used for long", size_of([piece]))


def _counts(reach: Reach) -> Iterator[Item]:
    """Counts of corpora and shards that are not in their places any more."""
    for folder in sorted((reach.workspace.private / CATALOGUE).glob("*")):
        if not any(manifest.key.startswith(folder.name) for manifest in reach.products.values()):
            yield Item("note", folder, "counts of what is gone", size_of([folder]))


def _aside(reach: Reach) -> Iterator[Item]:
    """Damaged products and other versions: their names end in when they were set aside, in nanoseconds."""
    for path in sorted((reach.workspace.private / "aside").glob("*")):
        when = path.name.rpartition(".")[2]
        if when.isdigit() and int(when) / 1e9 < reach.since:
            yield Item("set aside", path, "set aside long ago", size_of([path]))
    for path in sorted((reach.workspace.root / ".dvc" / "tmp" / "damaged").glob("*")):
        if path.stat().st_ctime < reach.since:
            yield Item("set aside", path, "a damaged object of DVC's cache", size_of([path]))


def _pages(reach: Reach) -> Iterator[Item]:
    """Reports of old runs, but for the latest one of each experiment, to which a link leads."""
    latest = {link.resolve() for link in links(reach.workspace)}
    for page in sorted(reach.workspace.root.glob("reports/runs/*.html")):
        if page.resolve() not in latest and page.stat().st_mtime < reach.since:
            yield Item("page", page, "of an old run", size_of([page]))


def _take_objects(reach: Reach, done: Pruned, is_dry_run: bool) -> None:
    """What of DVC's cache no kept version needs, and no file in git names."""
    from tasks.versioning.objects import VersioningError
    from tasks.versioning.unneeded import take_out

    if any(map(is_held, (reach.workspace.private / "locks").glob("data~*.build"))):
        done.kept.append("DVC's cache is left alone while a run makes data")
        return
    try:
        sizes = take_out(reach.workspace.root, set(kept_versions(reach)), is_dry_run=is_dry_run)
    except VersioningError as why:
        done.kept.append(str(why))
        return
    done.items.extend(Item("DVC object", path, "no version needs it", size) for path, size in sizes.items())


def _tidy(workspace: Workspace) -> None:
    """Away with empty folders of names and objects, and with locks of what is not there."""
    _remove_empty(path for home in RUN_HOMES for path in workspace.root.glob(f"{home}/*"))
    _remove_empty((workspace.private / PIECES).glob("*/*"))
    _remove_empty((workspace.root / ".dvc" / "cache" / "files" / "md5").glob("*"))
    for lock in (workspace.private / "locks").glob("*~*"):
        if not os.path.lexists(workspace.path(lock.stem.replace("~", "/"))):
            with try_lock(lock) as is_free:
                if is_free:  # who waits for it meanwhile notices that it is gone
                    lock.unlink(missing_ok=True)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not folder.is_symlink():
            with suppress(OSError):  # not empty
                folder.rmdir()
