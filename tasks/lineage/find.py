"""A product by what a person calls it: a registered version, an address, a digest, a key, an experiment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.config import SettingsError
from lmcore.lineage import MANIFEST, Manifest
from tasks.artifacts import SourceFiles
from tasks.engine.artifact import Artifact
from tasks.engine.reach import Reach
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace
from tasks.lineage.graph import RECORD, Node, inputs_in, trace

if TYPE_CHECKING:
    from tasks.tracking.versions import Registered

LAST_STEPS = ("pretrain_model", "write_shards", "train_tokenizer", "split_corpus")
"""What an experiment's name stands for: the first of these that it has made."""
CHAMPION = "champion"
SHORTEST_PREFIX = 6
"""Digits of a digest or key that name a product."""


@dataclass(frozen=True)
class Found:
    """A product, and the registered version that it was asked for as."""

    artifact: Artifact
    version: Registered | None = None

    @property
    def title(self) -> str:
        """`demo v3`, or the product's address."""
        return f"{self.version.name} v{self.version.version}" if self.version else self.artifact.address

    def trace(self, workspace: Workspace) -> Node:
        """What it was made from; for a registered version also by the record beside it."""
        record = self.version.home / RECORD if self.version else None
        return trace(workspace.root, self.artifact, record)


def find_product(workspace: Workspace, called: str) -> Found:
    """The product that a name stands for.

    Args:
        called: NAME@ALIAS or NAME@vN of a registered model, an address such as data/corpora/demo, six or
            more digits of a digest or key, `step name` as in a plan, an experiment, or else a registered
            model, of which the champion is meant.

    Raises:
        SettingsError: nothing is called so, or several things are.
    """
    called = called.removeprefix("models:/").rstrip("/")
    if "@" in called:
        return _version(workspace, called)
    found = _by_address(workspace, called) or _by_name(workspace, called)
    if found is None and (version := _standing_version(workspace, called)):
        return version
    found = found or _by_digits(workspace, called)
    if found is None and (reader := _reader_of(workspace, called)):
        raise SettingsError(f"{called} is a source, no product; what was read from it is {reader}")
    if found is None:
        raise SettingsError(
            f"no product '{called}': expected a registered model, an address, {SHORTEST_PREFIX} or more "
            "digits of a digest or key, or an experiment that has made something; `lm list` shows all"
        )
    return Found(found)


def _version(workspace: Workspace, called: str) -> Found:
    from tasks.tracking.versions import registered, versions

    name, _, which = called.partition("@")
    version = registered(workspace.root, name, which)
    if version is None:
        known = [f"v{each.version}" for each in versions(workspace.root, name)]
        there = f"it has {', '.join(known)}" if known else "there is none of that name"
        raise SettingsError(
            f"no version '{which}' of a registered model '{name}': {there}; `lm list` shows all"
        )
    return _registered(workspace, version)


def _standing_version(workspace: Workspace, name: str) -> Found | None:
    """A registered model's champion; its newest version if there is none."""
    from tasks.tracking.versions import registered, versions

    newest = next(reversed(versions(workspace.root, name)), None)
    version = registered(workspace.root, name, CHAMPION) or newest
    return _registered(workspace, version) if version else None


def _registered(workspace: Workspace, version: Registered) -> Found:
    address = version.tags.get("lm.address") or workspace.address(version.folder)
    return Found(Artifact(address, version.name, version.digest, version.key), version)


def _by_address(workspace: Workspace, called: str) -> Artifact | None:
    """A folder in the workspace, or a link to one as experiments have them."""
    folder = Path(os.path.normpath(workspace.root / Path(called).expanduser()))
    if folder.is_symlink():
        folder = Path(os.path.normpath(folder.parent / folder.readlink()))
    if not (folder / MANIFEST).is_file():
        return None
    return artifact_at(workspace.address(folder), Store(workspace).read(folder))


def _by_name(workspace: Workspace, called: str) -> Artifact | None:
    """`step name`, or an experiment's furthest product."""
    store = Store(workspace)
    step, _, name = called.partition(" ")
    wanted = [(step, name)] if name else [(last, called) for last in LAST_STEPS]
    for step, name in wanted:
        if manifest := store.last(step, name):
            return artifact_at(address_of(workspace, manifest), manifest)
    return None


def _by_digits(workspace: Workspace, called: str) -> Artifact | None:
    """By the first digits of its digest or key, also as in `pretrain_model-f07480a0f763`."""
    digits = called.rpartition("-")[2].lower()
    if len(digits) < SHORTEST_PREFIX or not set(digits) <= set("0123456789abcdef"):
        return None
    found = {
        manifest.key: manifest
        for manifest in known_products(workspace)
        if manifest.key.startswith(digits) or manifest.digest.startswith(digits)
    }
    if len({manifest.digest for manifest in found.values()}) > 1:
        named = ", ".join(address_of(workspace, manifest) for manifest in found.values())
        raise SettingsError(f"'{called}' begins several digests or keys: {named}; write more digits")
    manifest = next(iter(found.values()), None)
    return artifact_at(address_of(workspace, manifest), manifest) if manifest else None


def _reader_of(workspace: Workspace, called: str) -> str | None:
    """The address of what was made from a source, by the source's address or name."""
    for manifest in known_products(workspace):
        for _, artifact in inputs_in(manifest):
            if isinstance(artifact, SourceFiles) and called in (artifact.address, artifact.name):
                return address_of(workspace, manifest)
    return None


def known_products(workspace: Workspace) -> Iterator[Manifest]:
    """The manifests of all products in their places, and of those that once were."""
    store = Store(workspace)
    yield from (store.known(each) for each in Reach(workspace, since=0.0).remembered.values())


def address_of(workspace: Workspace, manifest: Manifest) -> str:
    """Where a product lies, or lay: data under its name, everything else under its key."""
    last = f"{manifest.step}-{manifest.key[:12]}"
    for home in ("models", "reports"):
        if (workspace.path(home) / last).is_dir():
            return f"{home}/{last}"
    for folder in workspace.root.glob(f"data/*/{manifest.name}"):
        if (folder / MANIFEST).is_file() and Store(workspace).read(folder).step == manifest.step:
            return workspace.address(folder)
    return _noted_address(workspace, manifest) or last


def _noted_address(workspace: Workspace, manifest: Manifest) -> str | None:
    """Where those that were made from it say that it lay."""
    for reader in known_products(workspace):
        for _, artifact in inputs_in(reader):
            if artifact.key == manifest.key:
                return artifact.address
    return None


def artifact_at(address: str, manifest: Manifest) -> Artifact:
    """A product as an artifact."""
    return Artifact(address, manifest.name, manifest.digest, manifest.key, manifest.size)
