"""Which products somebody may still ask for: those that can be reached, and all that they were made from.

From where: every version in the registry or in a journal of its aliases, the links and notes of the
experiments that there are, what lies in data's fixed places, and whatever a run has made or used of late.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lmcore.lineage import MANIFEST, Manifest, read_manifest
from tasks.engine.artifact import is_artifact_json
from tasks.engine.experiment import known_experiments
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace

RUN_HOMES = ("models", "reports")
"""Where products carry their key in their name, and many versions lie side by side."""
REGISTRATION = "registration.json"
_BY_OVERRIDES = re.compile(r"-(?=[a-f]*[0-9])[0-9a-f]{6}(?![0-9a-z])")
"""What stands in a name that was not written in a file but made for settings on a command line. With a digit
in it: `tiny-facade` may well be the name of a branch."""
_PRODUCT = re.compile(r"^(.+)-([0-9a-f]{12})$")


@dataclass(frozen=True)
class Reach:
    """What can be reached in a workspace; what was used after `since` counts in any case."""

    workspace: Workspace
    since: float
    """Seconds since 1970."""

    @cached_property
    def store(self) -> Store:
        return Store(self.workspace)

    @cached_property
    def products(self) -> dict[Path, Manifest]:
        """Every product in its place whose manifest reads."""
        found = {}
        for folder in product_folders(self.workspace):
            try:
                found[folder] = read_manifest(folder)
            except (OSError, ValueError):
                continue
        return found

    @cached_property
    def remembered(self) -> dict[str, Manifest]:
        """Manifests by key, of products in their places and of those that once were."""
        notes = (self.workspace.private / "manifests").glob("[0-9a-f]*.json")
        noted = {note.stem: manifest for note in notes if (manifest := self.store.remembered(note.stem))}
        return noted | {manifest.key: manifest for manifest in self.products.values()}

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys of all products that are kept."""
        reached: set[str] = set()
        waiting = [*self._registered(), *self._named(), *self._in_place(), *self._recent()]
        while waiting:
            key = waiting.pop()
            if key not in reached:
                reached.add(key)
                waiting += inputs_of(self.remembered[key]) if key in self.remembered else []
        return frozenset(reached | set(self._records()))

    def is_recent(self, key: str) -> bool:
        """Whether a run has made or used a product of late: each of them renews the note of its manifest."""
        note = self.workspace.private / "manifests" / f"{key}.json"
        try:
            return note.stat().st_mtime >= self.since
        except FileNotFoundError:
            places = [folder / MANIFEST for folder, each in self.products.items() if each.key == key]
            return any(path.stat().st_mtime >= self.since for path in places if path.exists())

    def is_current(self, name: str) -> bool:
        """Whether a name belongs to an experiment or a source that there is, as it is written there."""
        return any(
            name == known or (name.startswith(known) and not _BY_OVERRIDES.search(name[len(known) :]))
            for known in self._names
        )

    @cached_property
    def _names(self) -> list[str]:
        sources = self.workspace.sources
        return [*known_experiments(self.workspace), *(path.name for path in sources.glob("*"))]

    def _registered(self) -> Iterator[str]:
        """Every version, also one without an alias: a registry is a promise; and so is its journal."""
        from tasks.tracking.versions import versions

        yield from (version.key for version in versions(self.workspace.root) if version.key)
        yield from (key for key, made in self.remembered.items() if made.digest in self._promised)

    @cached_property
    def _promised(self) -> frozenset[str]:
        """Digests of all versions that are registered, or that a registry has lost; not of deleted ones."""
        from tasks.tracking.journal import journals
        from tasks.tracking.standing import standing
        from tasks.tracking.versions import numbers_of, versions

        root = self.workspace.root
        promised = {version.digest for version in versions(root)}
        for journal in journals(root):
            known, there = standing(journal.entries()).digests, numbers_of(root, journal.model)
            promised |= {digest for number, digest in known.items() if number not in there}
        return frozenset(digest for digest in promised if digest)

    def _records(self) -> Iterator[str]:
        """Registrations of such versions, with their reports; but not candidates that were not chosen."""
        for folder, entry in registrations(self.workspace):
            if entry["digest"] in self._promised and folder in self.products:
                made = self.products[folder]
                yield made.key
                inputs = _artifacts_in(made)
                yield from (each["key"] for each in inputs if each["address"].startswith("reports/"))

    def _named(self) -> Iterator[str]:
        """What the experiments' links and notes lead to."""
        for note in (self.workspace.private / "last").glob("*@*"):
            if self.is_current(note.name.partition("@")[2]):
                yield note.read_text(errors="replace").strip()
        for link in links(self.workspace):
            product = self.products.get(link.parent.parent / link.readlink().name)
            if product and self.is_current(link.parent.name):
                yield product.key

    def _in_place(self) -> Iterator[str]:
        """Data lies where its name says; of a damaged product every version that had its name may be it."""
        for folder in product_folders(self.workspace):
            if folder.parent.name in RUN_HOMES:
                continue
            if folder in self.products:
                yield self.products[folder].key
            else:
                yield from (key for key, each in self.remembered.items() if each.name == folder.name)

    def _recent(self) -> Iterator[str]:
        yield from (key for key in self.remembered if self.is_recent(key))


def product_folders(workspace: Workspace) -> list[Path]:
    """Folders where products lie, or ought to: data by its name, the rest by its key."""
    data = [
        folder
        for folder in sorted(workspace.root.glob("data/*/*"))
        if folder.is_dir() and folder.parent != workspace.sources and (folder / MANIFEST).exists()
    ]
    runs = [
        folder
        for home in RUN_HOMES
        for folder in sorted(workspace.root.glob(f"{home}/*"))
        if folder.is_dir() and not folder.is_symlink() and _PRODUCT.match(folder.name)
    ]
    return data + runs


def links(workspace: Workspace) -> list[Path]:
    """`models/<name>/<step>` and the like."""
    found = (path for home in RUN_HOMES for path in sorted(workspace.root.glob(f"{home}/*/*")))
    return [path for path in found if path.is_symlink()]


def registrations(workspace: Workspace) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every registration of a model in its place, with what it says; unreadable ones are passed over."""
    for folder in product_folders(workspace):
        try:
            yield folder, json.loads((folder / REGISTRATION).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue


def inputs_of(manifest: Manifest) -> Iterable[str]:
    """Keys of the products that a product was made from."""
    return (document["key"] for document in _artifacts_in(manifest))


def _artifacts_in(manifest: Manifest) -> Iterator[dict[str, Any]]:
    for value in manifest.inputs.values():
        for document in value if isinstance(value, list) else [value]:
            if is_artifact_json(document) and document.get("key"):
                yield document
