"""Where products live: built in scratch, sealed by a manifest, moved into place in one rename."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmcore.lineage import (
    MANIFEST,
    FileEntry,
    Manifest,
    content_digest,
    file_digest,
    list_product,
    read_manifest,
    write_manifest,
)
from tasks.engine.key import Address
from tasks.engine.locks import lock
from tasks.engine.proof import Proof, prove
from tasks.engine.workspace import Workspace

_EXCHANGE = 2
_AT_CWD = -100


@dataclass(frozen=True)
class Copies:
    """Where else a product's bytes lie, remembered under its key. Checked before it is believed."""

    seal: str
    """Of the manifest that they have."""
    dvc: str
    """The folder's name in DVC's cache."""


class Store:
    """Products of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.private = workspace.private

    # -- locks ---------------------------------------------------------------------------------

    def building(self, path: str, on_wait: Callable[[], None] | None = None) -> AbstractContextManager[None]:
        """Held by the one process that makes what belongs at an address."""
        return lock(self._lock_file("build", path), on_wait=on_wait)

    def reading(self, path: str) -> AbstractContextManager[None]:
        """Held while a product is read, so that no other version takes its place meanwhile."""
        return lock(self._lock_file("use", path), shared=True)

    def _lock_file(self, kind: str, path: str) -> Path:
        return self.private / "locks" / f"{path.replace('/', '~')}.{kind}"

    # -- what is there ---------------------------------------------------------------------------

    def find(self, address: Address, *, in_full: bool = False) -> Proof:
        """The whole product with this key, or what is wrong. Another key at a fixed path is a miss."""
        proof = prove(self.workspace, address.path, in_full=in_full)
        if proof.manifest is None:
            return proof
        return Proof(self.known(proof.manifest)) if proof.manifest.key == address.key else Proof(None)

    def read(self, folder: Path) -> Manifest:
        """A product's manifest with all that is known of its provenance; raises as `read_manifest`."""
        return self.known(read_manifest(folder))

    def known(self, manifest: Manifest) -> Manifest:
        """The same with what is remembered of its provenance, where the product itself does not say."""
        if manifest.provenance:
            return manifest
        before = self.remembered(manifest.key)
        return before if before and before.provenance and before.seal == manifest.seal else manifest

    def remembered(self, key: str) -> Manifest | None:
        """The manifest that a product of this key had, whether or not the product is still there."""
        try:
            document = json.loads((self.private / "manifests" / f"{key}.json").read_text())
            return Manifest(**document)
        except (OSError, ValueError, TypeError):
            return None

    def last(self, step: str, name: str) -> Manifest | None:
        """The manifest of what this step last made or reused under this name."""
        try:
            return self.remembered((self.private / "last" / f"{step}@{name}").read_text().strip())
        except (OSError, ValueError):
            return None

    def made_by(self, step: str) -> Iterator[Manifest]:
        """The manifests of what this step made under any name, latest first."""
        notes = sorted((self.private / "last").glob(f"{step}@*"), key=lambda note: -note.stat().st_mtime_ns)
        for note in notes:
            if manifest := self.remembered(note.read_text(errors="replace").strip()):
                yield manifest

    def remember(self, manifest: Manifest) -> None:
        """Keep a copy of a manifest to explain later plans from; it is never taken for a product."""
        file = self.private / "manifests" / f"{manifest.key}.json"
        write_small(file, self.known(manifest).model_dump_json())
        os.utime(file)  # when the product was last made or used, for `lm prune`

    def use(self, step: str, name: str, key: str) -> None:
        """Note what stands under a name now."""
        write_small(self.private / "last" / f"{step}@{name}", key)

    def copies(self, key: str) -> Copies | None:
        try:
            return Copies(**json.loads((self.private / "copies" / f"{key}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def remember_copy(self, key: str, copies: Copies) -> None:
        write_small(self.private / "copies" / f"{key}.json", json.dumps(vars(copies)))

    # -- making -----------------------------------------------------------------------------------

    def scratch(self, step: str, address: Address, *, keep: bool) -> Path:
        """The folder in which a product is built; emptied unless a killed run's work is to be kept.

        Under the address's build lock. Two names may have one key, so the folder is named after both.
        """
        last = address.path.rpartition("/")[2]
        folder = self.private / "scratch" / f"{step}-{address.key[:16]}~{last}"
        if folder.exists() and not (keep and self._may_go_on(folder, address)):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        return folder

    def _may_go_on(self, folder: Path, address: Address) -> bool:
        """Whether what lies in scratch is unfinished work, or finished and whole.

        It may also be a product that another took the place of, when the run was killed before it was
        thrown away.
        """
        if not (folder / MANIFEST).exists():
            return True
        proof = prove(self.workspace, self.workspace.address(folder), in_full=True)
        return proof.manifest is not None and proof.manifest.key == address.key

    def seal(self, folder: Path, **known: Any) -> Manifest:
        """Digest what lies in a scratch folder and write its manifest, the last of its files.

        Raises:
            ValueError: something in it is neither a file nor a folder, so its bytes would not be kept.
        """
        _check_plain(folder)
        files = {
            name: FileEntry(size=(folder / name).stat().st_size, sha256=file_digest(folder / name))
            for name in list_product(folder)
        }
        digest = content_digest({name: entry.sha256 for name, entry in files.items()})
        manifest = Manifest(files=files, digest=digest, **known)
        write_manifest(manifest, folder)
        for path in [*folder.rglob("*"), folder]:
            _sync(path)
        return manifest

    def place(self, folder: Path, path: str, *, set_aside: bool) -> Path | None:
        """Move a sealed scratch folder to its address; what was there is set aside or removed.

        Waits until nobody reads the product that it replaces. Returns where the old one was put.
        """
        target = self.workspace.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        near = _beside(folder, target)
        with lock(self._lock_file("use", path)):
            is_free = not os.path.lexists(target)
            if is_free:
                os.rename(near, target)
            else:
                _exchange(near, target)
            _sync(target.parent)
        # Nobody can reach the old one any more.
        aside = self.set_aside(near, path) if set_aside and not is_free else None
        for leftover in (near, folder):
            _remove(leftover)
        return aside

    def set_aside(self, folder: Path, path: str) -> Path:
        """Keep what lay at an address, out of the way."""
        aside = self.private / "aside" / f"{path.replace('/', '~')}.{time.time_ns()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, aside)
        return aside

    def link(self, step: str, name: str, address: Address) -> None:
        """`models/<name>/<step>` -> the product: experiments share products, and each finds its own."""
        home, _, product = address.path.partition("/")
        link = self.workspace.path(home) / name / step
        link.parent.mkdir(parents=True, exist_ok=True)
        target = Path("..") / product
        if link.is_symlink() and link.readlink() == target:
            return
        fresh = link.with_name(f".{step}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(link)


def write_small(path: Path, text: str) -> None:
    """Replace a small file in one step, only when its content changes."""
    try:
        if path.read_text() == text:
            return
    except (OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    scratch.write_text(text)
    scratch.replace(path)


def _check_plain(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            name = path.relative_to(folder)
            raise ValueError(f"{name} is no plain file; a product holds files and folders only: write a copy")


def _beside(folder: Path, target: Path) -> Path:
    """The folder itself, or a copy of it on the file system from which one rename puts it in place."""
    if folder.stat().st_dev == target.parent.stat().st_dev:
        return folder
    near = target.with_name(f".{target.name}.incoming")
    _remove(near)
    shutil.copytree(folder, near)
    for path in [*near.rglob("*"), near]:
        _sync(path)
    return near


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one step; where the file system cannot, in two renames under the caller's lock."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        paths = (os.fsencode(one), os.fsencode(other))
        if libc.renameat2(_AT_CWD, paths[0], _AT_CWD, paths[1], _EXCHANGE) == 0:
            return
    between = other.with_name(f".{other.name}.{os.getpid()}")
    shutil.move(other, between)  # a layered file system cannot rename what lies in a lower layer
    os.rename(one, other)
    os.rename(between, one)
