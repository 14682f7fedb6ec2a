"""Proof that files are what they were: their stat as at the last proof, else their full digest."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmcore.lineage import MANIFEST, Damaged, Manifest, file_digest, list_product, read_manifest
from tasks.engine.workspace import Workspace

Stat = tuple[int, int, int, int]
_TICK = 50_000_000
"""Nanoseconds. A file written less than a tick of the kernel's clock ago may change again without a trace in
its times, so its stat proves nothing yet."""


@dataclass(frozen=True)
class Proof:
    """What is found at an address. `manifest` is None unless the product is whole."""

    manifest: Manifest | None
    fault: str | None = None
    """Why there is no whole product: missing, or which file is damaged."""
    is_unwanted: bool = False
    """It is to be made again whatever is there, so a copy of it is of no use either."""
    has_lost_effect: bool = False
    """The product is whole, but what its step did outside of its folder does not hold any more."""


def prove(workspace: Workspace, address: str, *, in_full: bool = False) -> Proof:
    """Check every file of the product at an address against its manifest.

    Args:
        in_full: hash every byte, also where size, times and inode are those of the last proof.
    """
    folder = workspace.path(address)
    if not os.path.lexists(folder):
        return Proof(None)
    try:
        manifest = read_manifest(folder)
        fault = _fault(workspace, folder, manifest, in_full)
    except Damaged:
        return Proof(None, f"{address}/{MANIFEST} was changed")
    except (FileNotFoundError, NotADirectoryError) as error:
        if error.filename == str(folder / MANIFEST):
            return Proof(None, f"{address} has no manifest")
        return Proof(None, f"{address} was replaced while it was looked at")
    except OSError as error:
        return Proof(None, f"{address} cannot be read: {error.strerror}")
    return Proof(None, f"{address}/{fault}") if fault else Proof(manifest)


def _fault(workspace: Workspace, folder: Path, manifest: Manifest, in_full: bool) -> str | None:
    found = list_product(folder)
    for name in sorted(set(manifest.files) ^ set(found)):
        return f"{name} is missing" if name in manifest.files else f"{name} does not belong there"
    digests = digests_of(workspace, folder, found, in_full=in_full)
    for name, entry in manifest.files.items():
        # The bytes have the last word: what was remembered may be what is damaged.
        if digests[name] != entry.sha256 and (in_full or file_digest(folder / name) != entry.sha256):
            return f"{name} was changed"
    return None


def digests_of(
    workspace: Workspace, folder: Path, names: Sequence[str], *, in_full: bool = False
) -> dict[str, str]:
    """SHA-256 of files in a folder, remembered as long as their stat does not change."""
    memory = memory_of(workspace, folder)
    known = {} if in_full else _load(memory)
    digests, facts = {}, {}
    for name in names:
        path = folder / name
        stat = _stat(path)
        settled = time.time_ns() - max(stat[1:3]) > _TICK
        before = known.get(name)
        digests[name] = before[1] if before and before[0] == list(stat) else file_digest(path)
        if settled:
            facts[name] = [list(stat), digests[name]]
    if facts != known:
        _save(memory, facts)
    return digests


def memory_of(workspace: Workspace, folder: Path) -> Path:
    """Where the digests of a folder's files are remembered."""
    place = hashlib.sha256(workspace.address(folder).encode()).hexdigest()[:24]
    return workspace.private / "proofs" / f"{place}.json"


def _stat(path: Path) -> Stat:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _load(memory: Path) -> dict[str, list]:  # type: ignore[type-arg]
    try:
        known = json.loads(memory.read_text())
        return {name: [list(stat), str(digest)] for name, (stat, digest) in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _save(memory: Path, facts: dict[str, list]) -> None:  # type: ignore[type-arg]
    memory.parent.mkdir(parents=True, exist_ok=True)
    scratch = memory.with_suffix(f".{os.getpid()}.{id(facts)}")
    scratch.write_text(json.dumps(facts))
    scratch.replace(memory)
