"""DVC's cache as it lies on disk: where an object is, what a folder's listing says, what its bytes prove.

Nothing here imports DVC, so that a plan may look.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

BLOCK = 1 << 20
FICLONE = 0x40049409  # Linux's request to share a file's blocks until one side is written to


class VersioningError(ValueError):
    """A folder or version that DVC's cache cannot serve; the text is one line with the cure."""


class MissingVersionError(VersioningError):
    """No complete copy of that version is within reach."""


class DamagedVersionError(VersioningError):
    """The cache holds other bytes than it promises; they are never delivered."""


def check_plain(file: Path) -> Path:
    """The file itself, if it is one.

    Raises:
        VersioningError: it is a link, a socket, ...
    """
    if file.is_symlink() or not file.is_file():
        raise VersioningError(
            f"cannot keep a version of {file}: not a plain file; a product holds plain files only"
        )
    return file


def listing_of(digests: dict[str, str]) -> tuple[str, bytes]:
    """DVC's name and bytes of a folder: a JSON list of its files, sorted by their path's parts."""
    rows = [{"md5": digests[path], "relpath": path} for path in sorted(digests)]
    listing = json.dumps(rows, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir", listing


def entries_of(workspace: Path, version: str) -> list[tuple[str, str]]:
    """(path, md5) of each file of a version, proved by the listing's own md5."""
    file = object_path(workspace, version)
    try:
        listing = file.read_bytes()
    except OSError:
        raise MissingVersionError(
            f"DVC's cache has no version {version}; rebuild the product, or name a remote that has it"
        ) from None
    if hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir" != version:
        raise DamagedVersionError(
            f"DVC's cache is damaged: the listing of {version} is not what its md5 says"
        )
    entries = [(row["relpath"], row["md5"]) for row in json.loads(listing)]
    if any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path, _ in entries):
        raise DamagedVersionError(
            f"version {version} lists files outside of its folder; do not trust its source"
        )
    return entries


def object_path(workspace: Path, digest: str) -> Path:
    if not (digest.removesuffix(".dir").isalnum() and len(digest.removesuffix(".dir")) == 32):
        raise VersioningError(
            f"'{digest}' is no version; expected what `take` returned: 32 hex digits and `.dir`"
        )
    return cache_folder(workspace) / "files" / "md5" / digest[:2] / digest[2:]


def cache_folder(workspace: Path) -> Path:
    """Where the workspace's DVC configuration puts the cache; a path in it counts from `.dvc`."""
    configured = _configured(workspace, "cache", "dir")
    return (workspace / ".dvc" / configured).resolve() if configured else workspace / ".dvc" / "cache"


def default_remote(workspace: Path) -> str | None:
    return _configured(workspace, "core", "remote")


def remote_url(workspace: Path, name: str) -> str | None:
    """Where a remote is: an absolute path, or a URL. A path in the configuration counts from `.dvc`."""
    url = _configured(workspace, f"'remote \"{name}\"'", "url")
    return url if url is None or "://" in url else str(Path(os.path.normpath(workspace / ".dvc" / url)))


def _configured(workspace: Path, section: str, name: str) -> str | None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    with suppress(configparser.Error):
        parser.read([workspace / ".dvc" / "config", workspace / ".dvc" / "config.local"], encoding="utf-8")
    value = parser.get(section, name, fallback=None)
    return os.path.expanduser(value.strip("\"'")) if value else None


def digest_of_file(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def is_sound(workspace: Path, digest: str) -> bool:
    """The cached object really has the bytes of its name."""
    kept = object_path(workspace, digest)
    return kept.is_file() and digest_of_file(kept) == digest


def copy_file(source: Path, target: Path) -> None:
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


def set_aside(workspace: Path, digest: str) -> None:
    """Take a damaged object out of the cache, but keep its bytes: they may be the last of a product."""
    aside = workspace / ".dvc" / "tmp" / "damaged"
    aside.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        shutil.move(object_path(workspace, digest), aside / digest)
