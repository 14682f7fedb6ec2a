"""What of DVC's cache nobody needs: no version that is to be kept, and no `dvc.lock` or `.dvc` file in git.

DVC's own `gc` knows only what its files name, and would delete versions that are kept without a stage.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from tasks.versioning.gate import alone
from tasks.versioning.objects import (
    MissingVersionError,
    VersioningError,
    cache_folder,
    digest_of_file,
    entries_of,
    listing_of,
)

_NAMED = re.compile(rb"\bmd5: *['\"]?([0-9a-f]{32}(?:\.dir)?)\b")


class SharedCacheError(VersioningError):
    """The cache lies outside of the workspace: others may need what this one does not."""


def take_out(workspace: Path, versions: Iterable[str], *, is_dry_run: bool = False) -> dict[Path, int]:
    """Take unneeded objects out of the cache, into which nobody writes meanwhile; gives their sizes.

    Raises: as `unneeded`.
    """
    with nullcontext() if is_dry_run else alone(workspace):
        sizes = {path: path.stat().st_size for path in unneeded(workspace, versions)}
        for path in () if is_dry_run else sizes:
            path.unlink(missing_ok=True)
    return sizes


def unneeded(workspace: Path, versions: Iterable[str]) -> list[Path]:
    """Objects of the local cache that neither these versions need nor anything that git names.

    Raises:
        SharedCacheError: the cache belongs to others as well.
        VersioningError: git does not answer, so what it names is not known.
    """
    cache = cache_folder(workspace)
    if not cache.is_dir():
        return []
    if not cache.resolve().is_relative_to(workspace.resolve()):
        raise SharedCacheError(f"DVC's cache {cache} may be others' as well; it is left alone (see dvc gc)")
    needed = set()
    for name in {*versions, *named_in_files(workspace), *named_in_git(workspace)}:
        needed.add(name)
        needed.update(_entries(workspace, name))
    return [path for digest, path in objects(workspace).items() if digest not in needed]


def objects(workspace: Path) -> dict[str, Path]:
    """Every object of the cache by its name."""
    folder = cache_folder(workspace) / "files" / "md5"
    return {
        path.parent.name + path.name: path
        for path in sorted(folder.glob("[0-9a-f][0-9a-f]/*"))
        if path.is_file() and len(path.name.removesuffix(".dir")) == 30
    }


def version_of(folder: Path, names: Iterable[str]) -> str:
    """The name that a version of a folder with these files has, whether or not it is in the cache."""
    return listing_of({name: digest_of_file(folder / name) for name in names})[0]


def named_in_files(workspace: Path) -> set[str]:
    """What the working tree's own files name."""
    found: set[str] = set()
    for folder, folders, files in os.walk(workspace):
        folders[:] = [name for name in folders if not name.startswith(".")]
        named = (name for name in files if name == "dvc.lock" or name.endswith(".dvc"))
        found.update(*(_names((Path(folder) / name).read_bytes()) for name in named))
    return found


def named_in_git(workspace: Path) -> set[str]:
    """What `dvc.lock` and `.dvc` files name, at every branch, tag and other ref, at HEAD and in the index."""
    if not any((folder / ".git").exists() for folder in (workspace.resolve(), *workspace.resolve().parents)):
        return set()
    blobs = set(_files(_git(workspace, "ls-files", "--stage", "-z", "--full-name", ":/"), place=1))
    for commit in _commits(workspace):
        blobs.update(_files(_git(workspace, "ls-tree", "-r", "-z", "--full-tree", commit), place=2))
    if not blobs:
        return set()
    listed = _git(
        workspace, "cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in sorted(blobs)).encode()
    )
    return set(_names(listed))


def _commits(workspace: Path) -> Iterator[str]:
    refs = _git(workspace, "for-each-ref", "--format=%(objectname) %(objecttype) %(*objecttype)").decode()
    for line in refs.splitlines():
        name, *kinds = line.split()
        if {"commit", "tree"} & set(kinds):
            yield name
    for line in _git(workspace, "worktree", "list", "--porcelain").decode(errors="replace").splitlines():
        if line.startswith("HEAD ") and set(line[5:]) != {"0"}:
            yield line[5:]


def _files(listing: bytes, place: int) -> Iterator[str]:
    """Blobs of the files by which DVC names versions; `place` is that of the blob in a line."""
    for row in listing.split(b"\0"):
        about, _, path = row.partition(b"\t")
        if path.endswith((b"dvc.lock", b".dvc")):
            yield about.split()[place].decode()


def _git(workspace: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    command = ["git", "-C", str(workspace), *arguments]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VersioningError(f"git does not answer ({error}); DVC's cache is left alone") from None
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise VersioningError(f"git {arguments[0]} failed ({why[-1]}); DVC's cache is left alone")
    return done.stdout


def _names(text: bytes) -> list[str]:
    return [name.decode() for name in _NAMED.findall(text)]


def _entries(workspace: Path, name: str) -> list[str]:
    """The files of a folder's version, if it is one that was ever here."""
    if not name.endswith(".dir"):
        return []
    try:
        return [digest for _, digest in entries_of(workspace, name)]
    except MissingVersionError:
        return []
    except VersioningError as error:
        raise VersioningError(f"{error}; what it needs is not known, so nothing is taken out") from None
