"""Second copies of products: data in DVC's cache, models in MLflow's registry."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lmcore.lineage import Manifest
from tasks.engine.key import Address
from tasks.engine.proof import prove
from tasks.engine.session import Session
from tasks.engine.step import Step
from tasks.engine.store import Copies


def can_restore(session: Session, address: Address) -> bool:
    """Whether a copy is left in DVC's cache or in MLflow's registry, without importing either."""
    return _version(session, address) is not None or _registered_copy(session, address) is not None


def _version(session: Session, address: Address) -> str | None:
    """The product's name in DVC's cache, if the cache has all of it."""
    copies = session.store.copies(address.key)
    if copies is None:
        return None
    from tasks.versioning import has

    return copies.dvc if has(session.workspace.root, copies.dvc) else None


def _registered_copy(session: Session, address: Address) -> Path | None:
    """The registry's copy of a model."""
    if address.path.startswith("data/"):
        return None
    from tasks.tracking.versions import find_copy

    return find_copy(session.workspace.root, address.key)


def restore(session: Session, step: Step[Any, Any], address: Address) -> Manifest | None:
    """Bring a product back from a copy; None when the copy is damaged as well."""
    scratch = session.store.scratch(f"restore-{step.name}", address, keep=False)
    try:
        _fetch(session, address, scratch)
    except Exception as error:  # whatever DVC or a remote store may raise: the product can still be made
        session.listener.said(step.name, f"the copy of {address.path} is of no use: {error}")
        shutil.rmtree(scratch, ignore_errors=True)
        return None
    proof = prove(session.workspace, session.workspace.address(scratch), in_full=True)
    if proof.manifest is None or proof.manifest.key != address.key:
        shutil.rmtree(scratch)
        return None
    session.store.place(scratch, address.path, set_aside=True)
    return session.store.find(address).manifest


def _fetch(session: Session, address: Address, folder: Path) -> None:
    if version := _version(session, address):
        from tasks import versioning

        versioning.restore(session.workspace.root, version, folder)
    elif copy := _registered_copy(session, address):
        shutil.copytree(copy, folder, dirs_exist_ok=True)


def take_copy(session: Session, address: Address, manifest: Manifest) -> None:
    """Put the product into DVC's cache, unless it is there."""
    from tasks.versioning import has, take

    root, copies = session.workspace.root, session.store.copies(manifest.key)
    is_kept = copies and copies.digest == manifest.digest and copies.dvc and has(root, copies.dvc)
    if session.keep_copies and not is_kept:
        md5 = take(root, session.workspace.path(address.path))
        session.store.remember_copy(manifest.key, Copies(manifest.digest, dvc=md5))
