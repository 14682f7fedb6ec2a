"""Second copies of products: in DVC's cache, in MLflow's registry, in DVC's default remote."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmcore.lineage import Manifest, write_provenance
from tasks.engine.key import Address
from tasks.engine.proof import prove
from tasks.engine.session import Session
from tasks.engine.shared import Shared, learn
from tasks.engine.step import Step
from tasks.engine.store import Copies

REMOTE = "the remote"


@dataclass(frozen=True)
class Copy:
    """Where a copy lies, and how to bring it into an empty folder."""

    where: str
    fetch: Callable[[Path], None]
    version: str | None = None
    """Its name in DVC's cache, once it was fetched."""


def can_restore(session: Session, address: Address) -> bool:
    """Whether a copy is left, as far as can be told without fetching it."""
    return find_copy(session, address) is not None


def find_copy(session: Session, address: Address) -> Copy | None:
    """The nearest copy. DVC and MLflow are not imported to look at this machine or at a remote folder.

    Of a copy that the remote has, the manifest is remembered afterwards.
    """
    return next(_copies(session, address), None)


def _copies(session: Session, address: Address) -> Iterator[Copy]:
    """All copies but those that this run has found wanting already, the nearest first."""
    for copy in _all_copies(session, address):
        if (address.key, copy.where) not in session.useless_copies:
            yield copy


def _all_copies(session: Session, address: Address) -> Iterator[Copy]:
    known = session.store.copies(address.key)
    if known and _has(session, known.dvc):
        yield _of_version(session, "DVC's cache", known.dvc)
    if folder := _registered_copy(session, address):
        yield Copy("MLflow's registry", lambda into: _copy_tree(folder, into))
    shared = Shared(session.workspace, lambda trouble: session.listener.said("remote", trouble))
    entry = shared.entry(address.key)
    if entry:
        learn(session.store, entry)
        yield _of_version(session, REMOTE, entry.version)
    elif known and session.store.remembered(address.key) and shared.holds(known.dvc):
        yield _of_version(session, REMOTE, known.dvc)


def _of_version(session: Session, where: str, version: str) -> Copy:
    from tasks import versioning

    return Copy(where, lambda into: versioning.restore(session.workspace.root, version, into), version)


def _has(session: Session, version: str) -> bool:
    from tasks.versioning import has

    return has(session.workspace.root, version)


def _registered_copy(session: Session, address: Address) -> Path | None:
    """The registry's copy of a model."""
    if address.path.startswith("data/"):
        return None
    from tasks.tracking.versions import find_copy as find_registered

    return find_registered(session.workspace.root, address.key)


def _copy_tree(folder: Path, into: Path) -> None:
    shutil.copytree(folder, into, dirs_exist_ok=True)


def restore(session: Session, step: Step[Any, Any], address: Address) -> tuple[Manifest, str] | None:
    """Bring a product back from the first copy that is whole, and say from where; None if none is."""
    for copy in _copies(session, address):
        scratch = session.store.scratch(f"restore-{step.name}", address, keep=False)
        manifest, fault = _fetch(session, address, copy, scratch)
        if manifest is None:
            what = f"the copy of {address.path} in {copy.where} is of no use"
            session.listener.said(step.name, f"{what}: {fault}")
            session.useless_copies.add((address.key, copy.where))
            if copy.where == REMOTE and copy.version:
                Shared(session.workspace).doubt(copy.version)
            shutil.rmtree(scratch, ignore_errors=True)
            continue
        if copy.version:
            session.store.remember_copy(address.key, Copies(manifest.seal, copy.version))
        # What is remembered says whether it was made here; what lies in a model's copy does not.
        remembered = session.store.remembered(address.key)
        is_told = remembered and remembered.provenance and remembered.seal == manifest.seal
        write_provenance(remembered if remembered and is_told else manifest, scratch)
        session.store.place(scratch, address.path, set_aside=True)
        if placed := session.store.find(address).manifest:
            return placed, copy.where
    return None


def _fetch(
    session: Session, address: Address, copy: Copy, folder: Path
) -> tuple[Manifest | None, str | None]:
    """What a copy turns out to be, each byte of it proved, or why it is of no use."""
    try:
        copy.fetch(folder)
    except Exception as error:  # whatever DVC or a remote store may raise: the product can still be made
        return None, " ".join(str(error).split())
    proof = prove(session.workspace, session.workspace.address(folder), in_full=True)
    if proof.manifest and proof.manifest.key != address.key:
        return None, "it is another product"
    return proof.manifest, proof.fault


def take_copy(session: Session, address: Address, manifest: Manifest) -> None:
    """Put the product into DVC's cache, unless it is there."""
    if session.keep_copies:
        take(session, session.workspace.path(address.path), manifest)


def take(session: Session, folder: Path, manifest: Manifest, *, anew: bool = False) -> str:
    """Put a product that is whole into DVC's cache, unless it is there; its version.

    Args:
        anew: look at every byte of what is there, and mend it.
    """
    from tasks import versioning

    known = session.store.copies(manifest.key)
    if not anew and known and known.seal == manifest.seal and _has(session, known.dvc):
        return known.dvc
    version = versioning.take(session.workspace.root, folder)
    session.store.remember_copy(manifest.key, Copies(manifest.seal, dvc=version))
    return version
