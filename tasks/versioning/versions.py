"""Taking versions into DVC's cache and writing them back."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tasks.engine.locks import lock
from tasks.versioning.objects import (
    DamagedVersionError,
    MissingVersionError,
    VersioningError,
    copy_file,
    default_remote,
    digest_of_file,
    entries_of,
    files_in,
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
IGNORE = "# Patterns of files that DVC should not track, one a line, in the form that git uses.\n"
LOCK = Path(".lm") / "versioning.lock"
T = TypeVar("T")


def init(workspace: Path) -> None:
    """Make the workspace a DVC repository, with the files of `dvc init` but nothing staged in git.

    Analytics and update checks are off, and the cache gives out copies (or reflinks), never hard links: a
    hard-linked product is the only cached copy, so that a byte flipped in it would be lost for good.
    Does nothing where there is a `.dvc` already.
    """
    if (workspace / ".dvc").is_dir():
        return
    with lock(workspace / LOCK):
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
        if not (workspace / ".dvcignore").exists():
            (workspace / ".dvcignore").write_text(IGNORE)
        scratch.rename(workspace / ".dvc")


def take(workspace: Path, folder: Path) -> str:
    """Put a copy of a product folder, all files of it, into DVC's cache.

    Returns:
        the version's name: DVC's md5 of the folder, ending in `.dir`. Equal folders have equal names.

    Raises:
        VersioningError: the folder is missing or empty, holds a link or special file, or changed meanwhile.
    """
    init(workspace)
    digests = {path: digest_of_file(file) for path, file in files_in(folder)}
    version, listing = listing_of(digests)
    if has(workspace, version) and all(is_sound(workspace, digest) for digest in digests.values()):
        return version
    with lock(workspace / LOCK):
        _retry(lambda: _add(workspace, folder, digests, version, listing))
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


def _add(workspace: Path, folder: Path, digests: dict[str, str], version: str, listing: bytes) -> None:
    """Let DVC copy the files into its cache, the listing last: a version that is listed is whole."""
    with _repository(workspace) as repository:
        from dvc_objects import fs

        files: Any = fs
        store, local, memory = repository.cache.local, files.LocalFileSystem(), files.MemoryFileSystem()
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
    with lock(workspace / LOCK):
        _retry(lambda: _pull(workspace, version))
    if not has(workspace, version):
        raise MissingVersionError(
            f"neither DVC's cache nor its remote '{remote}' has all of {version}; rebuild the product"
        )


def _pull(workspace: Path, version: str) -> None:
    with _repository(workspace) as repository:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.transfer import transfer

        source = repository.cloud.get_remote_odb()
        with suppress(FileNotFoundError):
            transfer(source, repository.cache.local, {HashInfo("md5", version)}, shallow=False, verify=True)


@contextmanager
def _repository(workspace: Path) -> Iterator[Any]:
    """The workspace as DVC sees it, opened without a word on the terminal or the network."""
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    from dvc.repo import Repo  # type: ignore[import-untyped,unused-ignore]

    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Only the cache is wanted: a workspace that was copied without its `.git` has one too.
    repository = Repo(str(workspace), config={"core": {"no_scm": True}})
    try:
        yield repository
    finally:
        repository.close()


def _retry(action: Callable[[], T], waits: Iterable[float] = (0.2, 1.0, 3.0)) -> T:
    """Try again after a busy disk or a locked state database; the last failure is told."""
    for wait in waits:
        try:
            return action()
        except VersioningError:
            raise
        except Exception:  # DVC, sqlite and the file system each have their own
            time.sleep(wait)
    return action()
