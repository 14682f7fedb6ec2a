"""Products, their copies in the registry and in DVC's cache, ledgers, and the code that was accepted."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.config import SettingsError
from lmcore.lineage import file_digest
from tasks.engine.accepted import read_accepted
from tasks.engine.checks.databases import opens
from tasks.engine.checks.finding import Finding
from tasks.engine.locks import is_held, lock
from tasks.engine.proof import prove
from tasks.engine.reach import RUN_HOMES, product_folders
from tasks.engine.step import known_steps
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace

if TYPE_CHECKING:
    from tasks.tracking.versions import Registered

MAKE_AGAIN = "the next run restores it or makes it again"


def accepted_code(workspace: Workspace, _: bool) -> Iterator[Finding]:
    try:
        read_accepted(workspace.root)
    except SettingsError as error:
        what, cure = str(error).split("; ", 1)
        yield Finding(what, cure)


def whole_products(workspace: Workspace, is_thorough: bool) -> Iterator[Finding]:
    """Every product in its place has all the bytes that its manifest names, and no others."""
    for folder in _places(workspace):
        address = workspace.address(folder)
        locks = workspace.private / "locks"
        if any(is_held(locks / f"{address.replace('/', '~')}.{kind}") for kind in ("build", "use")):
            continue
        if fault := prove(workspace, address, in_full=is_thorough).fault:
            yield Finding(fault, MAKE_AGAIN, partial(_set_aside, workspace, address))


def registered_copies(workspace: Workspace, is_thorough: bool) -> Iterator[Finding]:
    """A version in the registry has a copy of its product of its own."""
    from tasks.tracking.versions import versions

    if opens(workspace, "mlflow") is None:
        return
    for version in versions(workspace.root):
        if version.key is None:  # not one of ours
            continue
        fault = prove(workspace, workspace.address(version.folder), in_full=is_thorough).fault
        if not version.folder.is_dir():
            fault = "its files are gone"
        if fault:
            cure = f"make and register it again, or delete the version: lm list shows {version.name}"
            source = _product_of(workspace, version)
            mend = partial(_copy_again, workspace, version.folder, source) if source else None
            what = f"{version.name} v{version.version} in the registry is damaged: {fault}"
            yield Finding(what, f"copy it again from {workspace.address(source)}" if source else cure, mend)


def ledgers(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """What a version hands on to the next lies under the digest of its bytes."""
    cure = "the product that handed it on has another copy"
    for file in sorted((workspace.private / "carried").glob("[!.]*")):
        if file.name.endswith(".json"):
            is_sound = _is_json(file)
        else:
            is_sound = "." in file.name or file_digest(file) == file.name
        if not is_sound:
            yield Finding(f"the ledger {workspace.address(file)} is damaged", cure, file.unlink)


def cached_versions(workspace: Workspace, is_thorough: bool) -> Iterator[Finding]:
    """Listings of the versions that are remembered; every object where asked for."""
    from tasks.versioning.objects import is_sound, set_aside
    from tasks.versioning.unneeded import objects

    root, found = workspace.root, objects(workspace.root)
    for name in found:
        if (is_thorough or name.endswith(".dir")) and not _has_its_bytes(root, name, is_sound(root, name)):
            cure = "the next run takes a sound copy of the product that has it, if there is one"
            yield Finding(f"{name} in DVC's cache is damaged", cure, partial(set_aside, root, name))


def _has_its_bytes(root: Path, name: str, is_sound: bool) -> bool:
    from tasks.versioning.objects import VersioningError, entries_of

    if not name.endswith(".dir"):
        return is_sound
    try:
        entries_of(root, name)
    except (VersioningError, ValueError):
        return False
    return True


def _places(workspace: Workspace) -> list[Path]:
    """Where products lie, and whatever else lies where only products belong."""
    homes = {step.makes.home for step in known_steps.values() if step.makes.is_data()}
    data = [
        path
        for home in sorted(homes)
        for path in sorted(workspace.root.glob(f"{home}/[!.]*"))
        if path.is_dir()
    ]
    return list(dict.fromkeys([*product_folders(workspace), *data]))


def _set_aside(workspace: Workspace, address: str) -> None:
    store = Store(workspace)
    with store.building(address):
        if prove(workspace, address, in_full=True).fault:
            store.set_aside(workspace.path(address), address)


def _product_of(workspace: Workspace, version: Registered) -> Path | None:
    """The whole product that a version was made from."""
    for home in RUN_HOMES:
        for folder in workspace.root.glob(f"{home}/*-{(version.key or '')[:12]}"):
            manifest = prove(workspace, workspace.address(folder)).manifest
            if manifest and manifest.key == version.key:
                return folder
    return None


def _copy_again(workspace: Workspace, folder: Path, source: Path) -> None:
    with lock(workspace.private / "registry.lock"), Store(workspace).reading(workspace.address(source)):
        fresh = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(source, fresh)
        if folder.exists():
            aside = workspace.private / "aside" / f"{folder.name}.{time.time_ns()}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, aside)
        fresh.rename(folder)


def _is_json(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_bytes()), dict)
    except ValueError:
        return False
