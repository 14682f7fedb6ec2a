"""The only door to DVC and git: every version of a data product, kept by the bytes that it has.

A product folder is taken into DVC's cache (content-addressed, in DVC's own format, so that `dvc push`, `dvc gc`
and a `.dvc` pointer understand it) and is written back from there when it was damaged, deleted or wanted again.
Looking (`has`) and restoring from the local cache never import DVC; taking and fetching from a remote do.

Raises, all of them ValueErrors in one line:
    VersioningError: base of the others; a folder that cannot be taken.
    MissingVersionError: neither the cache nor the remote has every byte of that version.
    DamagedVersionError: the cache's bytes are not those that their name promises.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypedDict, TypeVar

from tasks.engine.locks import lock

CONFIG = """\
[core]
    analytics = false
    check_update = false
{scm}[cache]
    type = "reflink,copy"
"""
IGNORE = "# Patterns of files that DVC should not track, one a line, in the form that git uses.\n"
BLOCK = 1 << 20
LOCK = Path(".lm") / "versioning.lock"
FICLONE = 0x40049409  # Linux's request to share a file's blocks until one side is written to
T = TypeVar("T")


class VersioningError(ValueError):
    """A folder or version that DVC's cache cannot serve; the text is one line with the cure."""


class MissingVersionError(VersioningError):
    """No complete copy of that version is within reach."""


class DamagedVersionError(VersioningError):
    """The cache holds other bytes than it promises; they are never delivered."""


class GitState(TypedDict):
    """Which commit the code and the experiments stand at."""

    commit: str
    dirty: bool


def init(workspace: Path) -> None:
    """Make the workspace a DVC repository, quietly: the files of `dvc init`, staged nowhere, or nothing if it is one.

    Analytics and update checks are off, and the cache gives out copies (or reflinks), never hard links: a hard-linked
    product is the only cached copy, so that a flipped byte in it would be lost for good.
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
    digests = {path: _digest(file) for path, file in _files(folder)}
    version, listing = _listing(digests)
    if has(workspace, version):
        return version
    with lock(workspace / LOCK):
        _retry(lambda: _add(workspace, folder, digests, version, listing))
    if not has(workspace, version):
        raise VersioningError(
            f"DVC's cache did not keep {folder.name} ({version}); look at `dvc doctor` and the disk"
        )
    return version


def has(workspace: Path, version: str) -> bool:
    """Whether the local cache holds every file of that version; looks at names only, without importing DVC."""
    try:
        entries = _entries(workspace, version)
    except VersioningError:
        return False
    return all(_object(workspace, digest).is_file() for digest in {digest for _, digest in entries})


def restore(workspace: Path, version: str, folder: Path) -> None:
    """Write a version's files into a folder that is empty or not there yet, and check every byte.

    What the local cache lacks, or holds damaged, is fetched from DVC's default remote where one is configured.
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
    if damaged and _remote(workspace):
        _fetch(workspace, version)
        damaged = _write_out(workspace, version, folder)
    if damaged:
        raise DamagedVersionError(
            f"DVC's cache is damaged: {damaged[0]} of {version} has other bytes than its md5 says; "
            "nothing was restored and the object was set aside: rebuild the product, or `dvc fetch` it from a remote"
        )


def git_state(workspace: Path) -> GitState | None:
    """The workspace's commit, and whether files differ from it; None without git, a repository or a commit."""
    commit = _git(workspace, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return None
    changes = _git(workspace, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    return {"commit": commit.strip(), "dirty": bool(changes is None or changes.strip())}


def _git(workspace: Path, *arguments: str) -> str | None:
    # Optional locks off: looking must not write to the index while the user's own git runs.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(workspace), *arguments],
            capture_output=True,
            env=environment,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Every file with its path inside the folder, in DVC's order."""
    if not folder.is_dir():
        raise VersioningError(
            f"cannot keep a version of {folder}: there is no such folder; make the product first"
        )
    found = [file for file in folder.rglob("*") if file.is_symlink() or not file.is_dir()]
    if not found:
        raise VersioningError(f"cannot keep a version of {folder}: it holds no file; make the product first")
    for file in found:
        if file.is_symlink() or not file.is_file():
            raise VersioningError(
                f"cannot keep a version of {file}: not a plain file; a product holds plain files only"
            )
    return sorted((file.relative_to(folder).as_posix(), file) for file in found)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _listing(digests: dict[str, str]) -> tuple[str, bytes]:
    """DVC's name and bytes of a folder: a JSON list of its files, sorted by their path's parts."""
    rows = [{"md5": digests[path], "relpath": path} for path in sorted(digests)]
    listing = json.dumps(rows, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir", listing


def _entries(workspace: Path, version: str) -> list[tuple[str, str]]:
    """(path, md5) of each file of a version, proved by the listing's own md5."""
    file = _object(workspace, version)
    try:
        listing = file.read_bytes()
    except OSError:
        raise MissingVersionError(
            f"DVC's cache has no version {version}; `dvc fetch` it, or rebuild the product"
        ) from None
    if hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir" != version:
        _set_aside(workspace, version)
        raise DamagedVersionError(
            f"DVC's cache is damaged: the listing of {version} has other bytes than its md5 says"
        )
    return [(row["relpath"], row["md5"]) for row in json.loads(listing)]


def _object(workspace: Path, digest: str) -> Path:
    if not (digest.removesuffix(".dir").isalnum() and len(digest.removesuffix(".dir")) == 32):
        raise VersioningError(
            f"'{digest}' is no version; expected what `take` returned: 32 hex digits and `.dir`"
        )
    return _cache(workspace) / "files" / "md5" / digest[:2] / digest[2:]


def _cache(workspace: Path) -> Path:
    """Where the workspace's DVC configuration puts the cache; a path in it counts from `.dvc`."""
    configured = _configured(workspace, "cache", "dir")
    return (workspace / ".dvc" / configured).resolve() if configured else workspace / ".dvc" / "cache"


def _remote(workspace: Path) -> str | None:
    return _configured(workspace, "core", "remote")


def _configured(workspace: Path, section: str, name: str) -> str | None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    with suppress(configparser.Error):
        parser.read([workspace / ".dvc" / "config", workspace / ".dvc" / "config.local"], encoding="utf-8")
    value = parser.get(section, name, fallback=None)
    return os.path.expanduser(value.strip("\"'")) if value else None


def _add(workspace: Path, folder: Path, digests: dict[str, str], version: str, listing: bytes) -> None:
    """Let DVC copy the files into its cache, the listing last: a version that is listed is whole."""
    with _repository(workspace) as repository:
        from dvc_objects.fs import LocalFileSystem, MemoryFileSystem

        store, local = repository.cache.local, LocalFileSystem()
        for path, digest in digests.items():
            store.add(str(folder / path), local, digest, hardlink=False)
            _prove(workspace, digest, folder / path)
        memory, name = MemoryFileSystem(), f"memory://lm-{version}"
        memory.pipe_file(name, listing)
        store.add(name, memory, version, hardlink=False)
        memory.rm_file(name)


def _prove(workspace: Path, digest: str, source: Path) -> None:
    """The object of that name really has those bytes; a damaged one from before is replaced."""
    kept = _object(workspace, digest)
    if kept.is_file() and _digest(kept) == digest:
        return
    if _digest(source) != digest:
        raise VersioningError(
            f"{source} changed while a version of it was kept; nothing else may write to a product"
        )
    _set_aside(workspace, digest)
    raise OSError(f"the cached copy of {source.name} is damaged")  # and the retry copies it anew


def _write_out(workspace: Path, version: str, folder: Path) -> list[str]:
    """Copy a version out of the cache; returns the damaged paths, in which case the folder is left empty."""
    damaged = []
    folder.mkdir(parents=True, exist_ok=True)
    for path, digest in _entries(workspace, version):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(_object(workspace, digest), target)
        if _digest(target) != digest:
            damaged.append(path)
            _set_aside(workspace, digest)
    if damaged:
        for leftover in folder.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    return damaged


def _copy(source: Path, target: Path) -> None:
    """A copy that shares blocks where the file system can (btrfs, xfs), else a plain one."""
    with source.open("rb") as readable, target.open("wb") as writable:
        if not _reflink(readable, writable):
            shutil.copyfileobj(readable, writable, BLOCK)


def _reflink(readable: IO[bytes], writable: IO[bytes]) -> bool:
    try:
        import fcntl

        fcntl.ioctl(writable.fileno(), FICLONE, readable.fileno())
    except (ImportError, OSError):
        return False
    return True


def _set_aside(workspace: Path, digest: str) -> None:
    """Take a damaged object out of the cache, but keep its bytes: they may be the last of a product."""
    aside = workspace / ".dvc" / "tmp" / "damaged"
    aside.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        shutil.move(_object(workspace, digest), aside / digest)


def _fetch(workspace: Path, version: str) -> None:
    """Bring a version from the default remote into the cache."""
    remote = _remote(workspace)
    if remote is None:
        _entries(workspace, version)  # tells a lost listing apart from lost files
        raise MissingVersionError(
            f"DVC's cache lacks files of {version} and no default remote is configured; rebuild the product, "
            "or name a remote: dvc remote add --default NAME URL"
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
    from dvc.repo import Repo

    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    repository = Repo(str(workspace))
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
