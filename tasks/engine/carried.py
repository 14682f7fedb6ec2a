"""What a product hands on to its next version: a ledger that only ever grows.

The ledger that a version started from stands in its key, so the chain of versions is reproducible. Versions
form one line: a new one starts from the newest ledger, also after a return to an earlier version, which keeps
the ledger that it was made with (and so its key: going back is a hit, not a new version). The line goes on in
other workspaces: a version that somebody has pushed is taken over where its ledger grew out of the one here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmcore.config import canonical
from lmcore.lineage import Damaged, Manifest, file_digest, seal_document, unseal_document
from tasks.engine.key import Address, address_of, key_of
from tasks.engine.proof import prove
from tasks.engine.session import Session
from tasks.engine.shared import Shared
from tasks.engine.step import Step
from tasks.engine.store import write_small


@dataclass
class Line:
    """The versions that stood under one name."""

    newest: str | None = None
    """Digest of the ledger that the version built last has written."""
    used: dict[str, str | None] = field(default_factory=dict)
    """Digest of a version's key document without its ledger -> digest of the ledger that it started from."""
    grown: dict[str, str | None] = field(default_factory=dict)
    """Digest of a ledger that a version has written -> digest of the one that it started from."""

    def add(self, version: Manifest, file: str) -> None:
        """Note a version; what it hands on is the newest ledger if it started from the one that was."""
        this, started_from = _version(version)
        written = version.files[file].sha256
        self.used[this] = started_from
        if written != started_from:
            self.grown.setdefault(written, started_from)
        if self.newest in (None, started_from):
            self.newest = written

    def ancestors(self, ledger: str | None) -> list[str]:
        """A ledger and those that it grew out of, as far as they are known, the latest first."""
        chain: list[str] = []
        while ledger and ledger not in chain:
            chain.append(ledger)
            ledger = self.grown.get(ledger)
        return chain


def carried_digest(session: Session, step: Step[Any, Any], name: str, document: dict[str, Any]) -> str | None:
    """Digest of the ledger that a version starts from; `document` is its key document without it."""
    assert step.carries
    document = canonical(document)
    path = address_of(step, name, document).path
    this, line = key_of(document), _line(session, step.name, name)
    last, present = session.store.last(step.name, name), prove(session.workspace, path).manifest
    for version in (last, present):
        if version and version.step == step.name and step.carries in version.files:
            line.add(version, step.carries)
            if _version(version)[0] == this and (version is present or _is_kept(session, version)):
                return line.used[this]
    if this not in line.used and (theirs := _from_others(session, this, document, line.newest)):
        return theirs
    for digest in (line.used.get(this, line.newest), line.newest):
        if digest is None or carried_file(session, path, step.carries, digest):
            return digest
    return None


def carried_file(session: Session, path: str, name: str, digest: str) -> Path | None:
    """A ledger of that digest: the kept copy, that of the product about to be replaced, or a pushed one."""
    kept = _folder(session) / digest
    for file in (kept, session.workspace.path(path) / name):
        if file.is_file() and file_digest(file) == digest:
            return file
    pushed = Shared(session.workspace).note(f"ledgers/{digest}")
    if pushed is None or hashlib.sha256(pushed).hexdigest() != digest:
        return None
    _keep(kept, lambda scratch: scratch.write_bytes(pushed))
    return kept


def _from_others(session: Session, this: str, document: dict[str, Any], newest: str | None) -> str | None:
    """The ledger with which somebody has pushed this version, if it goes on from the one here."""
    shared = Shared(session.workspace)
    text = shared.note(f"lines/{this}.json")
    if text is None:
        return None
    try:
        ancestors = unseal_document(text)["ancestors"]
    except (Damaged, KeyError):
        return None
    if not isinstance(ancestors, list) or not ancestors or (newest is not None and newest not in ancestors):
        return None
    started_from: str = ancestors[0]
    return started_from if shared.entry(key_of({**document, "carried": started_from})) else None


def notes_for_others(session: Session, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """What others need to come to a version's key: where it stands in the line, and what it started from."""
    if manifest.key_document.get("carried") is None:
        return  # it began anew, as the others do who have none
    this, started_from = _version(manifest)
    ancestors = _line(session, manifest.step, manifest.name).ancestors(started_from)
    yield f"lines/{this}.json", seal_document({"ancestors": ancestors})
    kept = _folder(session) / str(started_from)
    if kept.is_file() and file_digest(kept) == started_from:
        yield f"ledgers/{started_from}", kept.read_bytes()


def keep_carried(
    session: Session, step: Step[Any, Any], name: str, address: Address, manifest: Manifest
) -> None:
    """Keep a copy of what a version hands on, and note its place in the line."""
    assert step.carries
    digest = manifest.files[step.carries].sha256
    kept, written = _folder(session) / digest, session.workspace.path(address.path) / step.carries
    if not (kept.is_file() and file_digest(kept) == digest):
        _keep(kept, lambda scratch: shutil.copyfile(written, scratch))
    line = _line(session, step.name, name)
    line.add(manifest, step.carries)
    write_small(_line_file(session, step.name, name), json.dumps(vars(line), sort_keys=True))


def _keep(kept: Path, write: Callable[[Path], object]) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    scratch = kept.with_name(f".{kept.name}.{os.getpid()}")
    write(scratch)
    scratch.replace(kept)


def _is_kept(session: Session, version: Manifest) -> bool:
    from tasks.versioning import has

    copies = session.store.copies(version.key)
    return bool(copies and copies.dvc and has(session.workspace.root, copies.dvc))


def _version(manifest: Manifest) -> tuple[str, str | None]:
    document = dict(manifest.key_document)
    started_from: str | None = document.pop("carried", None)
    return key_of(document), started_from


def _line(session: Session, step: str, name: str) -> Line:
    try:
        return Line(**json.loads(_line_file(session, step, name).read_text()))
    except (OSError, ValueError, TypeError):
        return Line()


def _line_file(session: Session, step: str, name: str) -> Path:
    return _folder(session) / f"{step}@{name}.json"


def _folder(session: Session) -> Path:
    return session.workspace.private / "carried"
