"""Taking versions into DVC's cache and writing them back."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.versioning.gate import alone, repository, retry
from tasks.versioning.objects import (
    DamagedVersionError,
    MissingVersionError,
    VersioningError,
    check_plain,
    copy_file,
    default_remote,
    digest_of_file,
    entries_of,
    is_sound,
    listing_of,
    object_path,
    set_aside,
)

CONFIG = """\
[core]
    analytics = false
    check_update = false
{scm}[cache]
    type = "reflink,copy"
"""
IGNORED = """\
# What the clock wrote beside data products (times, hosts, logs) is no part of their versions.
/data/*/*/provenance.json
/data/*/*/log/
!/data/sources/**
"""


def init(workspace: Path) -> None:
    """Make the workspace a DVC repository, with the files of `dvc init` but nothing staged in git.

    Analytics and update checks are off, and the cache gives out copies (or reflinks), never hard links: a
    hard-linked product is the only cached copy, so that a byte flipped in it would be lost for good.
    Does nothing where there is a `.dvc` already.
    """
    if (workspace / ".dvc").is_dir():
        return
    with alone(workspace):
        if (workspace / ".dvc").is_dir():
            return
        has_git = any(
            (folder / ".git").exists() for folder in [workspace.resolve(), *workspace.resolve().parents]
        )
        scratch = workspace / f".dvc.{os.getpid()}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        (scratch / "config").write_text(CONFIG.format(scm="" if has_git else "    no_scm = True\n"))
        (scratch / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        _ignore_times(workspace)
        scratch.rename(workspace / ".dvc")


def take(workspace: Path, folder: Path) -> str:
    """Put a copy of a product folder into DVC's cache: all files of it that `.dvcignore` does not name.

    Returns:
        the version's name: DVC's md5 of the folder, ending in `.dir`. Equal folders have equal names.

    Raises:
        VersioningError: the folder is missing or empty, holds a link or special file, or changed meanwhile.
    """
    if not folder.is_dir():
        raise VersioningError(
            f"cannot keep a version of {folder}: there is no such folder; make the product first"
        )
    init(workspace)
    with alone(workspace):
        _ignore_times(workspace)
        version = retry(lambda: _take(workspace, folder))
    if not has(workspace, version):
        raise VersioningError(
            f"DVC's cache did not keep {folder.name} ({version}); look at `dvc doctor` and the disk"
        )
    return version


def has(workspace: Path, version: str) -> bool:
    """Whether the local cache holds every file of that version; looks at names only, not at bytes."""
    try:
        entries = entries_of(workspace, version)
    except VersioningError:
        return False
    return all(object_path(workspace, digest).is_file() for digest in {digest for _, digest in entries})


def restore(workspace: Path, version: str, folder: Path) -> None:
    """Write a version's files into a folder that is empty or not there yet, and check every byte.

    What the local cache lacks, or holds damaged, is fetched from DVC's default remote, if there is one.
    Damaged objects are set aside under `.dvc/tmp/damaged/`, so that a later `take` can put sound ones there.

    Raises:
        VersioningError: the folder holds something already.
        MissingVersionError: neither the cache nor a remote has all of it.
        DamagedVersionError: the bytes are not the promised ones; the folder is left empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise VersioningError(
            f"cannot restore {version} into {folder}: it is not empty; give an empty folder"
        )
    if not has(workspace, version):
        _fetch(workspace, version)
    damaged = _write_out(workspace, version, folder)
    if damaged and default_remote(workspace):
        _fetch(workspace, version)
        damaged = _write_out(workspace, version, folder)
    if damaged:
        raise DamagedVersionError(
            f"DVC's cache is damaged: {damaged[0]} of {version} has other bytes than its md5 says; "
            "nothing was restored, the object was set aside: rebuild the product, or name a remote"
        )


def _ignore_times(workspace: Path) -> None:
    """Let DVC pass over what differs each time that a product is made; a user's own lines are kept."""
    file = workspace / ".dvcignore"
    lines = file.read_text(encoding="utf-8") if file.exists() else ""
    if IGNORED not in lines:
        file.write_text(
            lines + ("\n" if lines and not lines.endswith("\n") else "") + IGNORED, encoding="utf-8"
        )


def _take(workspace: Path, folder: Path) -> str:
    with repository(workspace) as opened:
        digests = {
            Path(file).relative_to(folder).as_posix(): digest_of_file(check_plain(Path(file)))
            for file in opened.dvcignore.find(_local(), str(folder))
        }
        if not digests:
            raise VersioningError(
                f"cannot keep a version of {folder}: it holds no file; make the product first"
            )
        version, listing = listing_of(digests)
        if not (has(workspace, version) and all(is_sound(workspace, each) for each in digests.values())):
            _add(opened.cache.local, workspace, folder, digests, version, listing)
    return version


def _local() -> Any:
    from dvc_objects import fs

    files: Any = fs
    return files.LocalFileSystem()


def _add(
    store: Any, workspace: Path, folder: Path, digests: dict[str, str], version: str, listing: bytes
) -> None:
    """Let DVC copy the files into its cache, the listing last: a version that is listed is whole."""
    from dvc_objects import fs

    files: Any = fs
    local, memory = files.LocalFileSystem(), files.MemoryFileSystem()
    for path, digest in digests.items():
        store.add(str(folder / path), local, digest, hardlink=False)
        if not is_sound(workspace, digest):
            _blame(workspace, folder / path, digest)
    name = f"memory://lm-{version}"
    memory.pipe_file(name, listing)
    store.add(name, memory, version, hardlink=False)
    memory.rm_file(name)
    if object_path(workspace, version).read_bytes() != listing:
        set_aside(workspace, version)
        raise OSError(f"the cached listing of {folder.name} is damaged")  # and the retry writes it anew


def _blame(workspace: Path, source: Path, digest: str) -> None:
    """Raise for a cached object that is not sound: either its source changed, or it was damaged before."""
    if digest_of_file(source) != digest:
        set_aside(workspace, digest)
        raise VersioningError(f"{source} changed while a version of it was kept; leave products alone")
    set_aside(workspace, digest)
    raise OSError(f"the cached copy of {source.name} is damaged")  # and the retry copies it anew


def _write_out(workspace: Path, version: str, folder: Path) -> list[str]:
    """Copy a version out of the cache; returns the damaged paths, in which case the folder is left empty."""
    damaged = []
    folder.mkdir(parents=True, exist_ok=True)
    for path, digest in entries_of(workspace, version):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(object_path(workspace, digest), target)
        if digest_of_file(target) != digest:
            damaged.append(path)
            set_aside(workspace, digest)
    if damaged:
        for leftover in folder.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    return damaged


def _fetch(workspace: Path, version: str) -> None:
    """Bring a version from the default remote into the cache."""
    remote = default_remote(workspace)
    try:
        entries_of(workspace, version)
    except DamagedVersionError:
        set_aside(workspace, version)
        if remote is None:
            raise
    except MissingVersionError:
        if remote is None:
            raise
    if remote is None:
        raise MissingVersionError(
            f"DVC's cache lacks files of {version} and there is no default remote; rebuild the product, "
            "or name a remote that has it: dvc remote add --default NAME URL"
        )
    with alone(workspace):
        retry(lambda: _pull(workspace, version))
    if not has(workspace, version):
        raise MissingVersionError(
            f"neither DVC's cache nor its remote '{remote}' has all of {version}; rebuild the product"
        )


def _pull(workspace: Path, version: str) -> None:
    with repository(workspace) as opened:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.transfer import transfer

        source = opened.cloud.get_remote_odb()
        with suppress(FileNotFoundError):
            transfer(source, opened.cache.local, {HashInfo("md5", version)}, shallow=False, verify=True)
