"""What a product hands on to its next version: a ledger that only ever grows.

The ledger that a version started from stands in its key, so the chain of versions is reproducible. Versions
form one line: a new one starts from the newest ledger, also after a return to an earlier version, which keeps
the ledger that it was made with (and so its key: going back is a hit, not a new version).
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmcore.config import canonical
from lmcore.lineage import Manifest, digest_of, file_digest
from tasks.engine.key import Address, address_of
from tasks.engine.proof import prove
from tasks.engine.session import Session
from tasks.engine.step import Step
from tasks.engine.store import write_small


@dataclass
class Line:
    """The versions that stood under one name."""

    newest: str | None = None
    """Digest of the ledger that the version built last has written."""
    used: dict[str, str | None] = field(default_factory=dict)
    """Digest of a version's key document without its ledger -> digest of the ledger that it started from."""

    def add(self, version: Manifest, file: str) -> None:
        """Note a version; what it hands on is the newest ledger if it started from the one that was."""
        this, started_from = _version(version)
        self.used[this] = started_from
        if self.newest in (None, started_from):
            self.newest = version.files[file].sha256


def carried_digest(session: Session, step: Step[Any, Any], name: str, document: dict[str, Any]) -> str | None:
    """Digest of the ledger that a version starts from; `document` is its key document without it."""
    assert step.carries
    document = canonical(document)
    path = address_of(step, name, document).path
    this, line = digest_of(document), _line(session, step, name)
    last, present = session.store.last(step.name, name), prove(session.workspace, path).manifest
    for version in (last, present):
        if version and version.step == step.name and step.carries in version.files:
            line.add(version, step.carries)
            if _version(version)[0] == this and (version is present or _is_kept(session, version)):
                return line.used[this]
    for digest in (line.used.get(this, line.newest), line.newest):
        if digest is None or carried_file(session, path, step.carries, digest):
            return digest
    return None


def carried_file(session: Session, path: str, name: str, digest: str) -> Path | None:
    """A ledger of that digest: the kept copy, or the one in the product that is about to be replaced."""
    for file in (_folder(session) / digest, session.workspace.path(path) / name):
        if file.is_file() and file_digest(file) == digest:
            return file
    return None


def keep_carried(
    session: Session, step: Step[Any, Any], name: str, address: Address, manifest: Manifest
) -> None:
    """Keep a copy of what a version hands on, and note its place in the line."""
    assert step.carries
    digest = manifest.files[step.carries].sha256
    kept = _folder(session) / digest
    if not (kept.is_file() and file_digest(kept) == digest):
        kept.parent.mkdir(parents=True, exist_ok=True)
        scratch = kept.with_name(f".{digest}.{os.getpid()}")
        shutil.copyfile(session.workspace.path(address.path) / step.carries, scratch)
        scratch.replace(kept)
    line = _line(session, step, name)
    line.add(manifest, step.carries)
    write_small(_line_file(session, step, name), json.dumps(vars(line), sort_keys=True))


def _is_kept(session: Session, version: Manifest) -> bool:
    from tasks.versioning import has

    copies = session.store.copies(version.key)
    return bool(copies and copies.dvc and has(session.workspace.root, copies.dvc))


def _version(manifest: Manifest) -> tuple[str, str | None]:
    document = dict(manifest.key_document)
    started_from: str | None = document.pop("carried", None)
    return digest_of(document), started_from


def _line(session: Session, step: Step[Any, Any], name: str) -> Line:
    try:
        return Line(**json.loads(_line_file(session, step, name).read_text()))
    except (OSError, ValueError, TypeError):
        return Line()


def _line_file(session: Session, step: Step[Any, Any], name: str) -> Path:
    return _folder(session) / f"{step.name}@{name}.json"


def _folder(session: Session) -> Path:
    return session.workspace.private / "carried"
