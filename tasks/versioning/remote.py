"""DVC's default remote, and the notes that are kept in it beside DVC's own objects.

A note is a small file under `lmworks/`: by it one workspace finds what another one has pushed. What a plain
folder holds is read as it lies there; S3, ssh and the rest are reached through DVC.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from tasks.versioning.gate import repository
from tasks.versioning.objects import (
    VersioningError,
    default_remote,
    entries_of,
    object_path,
    remote_url,
)

NOTES = "lmworks"
PATIENCE = 20.0
"""Seconds in which a remote has to answer a small question."""
WITH_FOLDERS = ("local", "file", "ssh", "sftp", "webdav", "webdavs", "hdfs", "webhdfs")
"""Protocols in which a folder has to be made before a file is written; a bucket would be made as well."""
T = TypeVar("T")


class RemoteError(VersioningError):
    """The remote is not there, does not answer or refuses; the text is one line with the cure."""


@dataclass
class Remote:
    """One remote of one workspace. Every method raises RemoteError where it does not answer."""

    workspace: Path
    name: str
    url: str
    trouble: str | None = field(default=None, init=False)
    """Why it was given up in this process."""

    @property
    def folder(self) -> Path | None:
        """Where its files lie, if it is a plain folder."""
        return None if "://" in self.url else Path(self.url)

    def read(self, note: str) -> bytes | None:
        """A note; None if there is none of that name."""
        return self._ask(lambda: self._read(f"{NOTES}/{note}"))

    def write(self, note: str, content: bytes) -> None:
        """Write a note in one step."""
        self._ask(lambda: self._write(f"{NOTES}/{note}", content))

    def holds(self, version: str) -> bool:
        """Whether the listing of a version is there; DVC writes it after the version's files."""
        return self._ask(lambda: self._sizes([version]) != [None])

    def present(self, digests: Iterable[str]) -> list[str]:
        """Those of these objects that are there."""
        wanted = sorted(digests)
        sizes = self._ask(lambda: self._sizes(wanted)) if wanted else []
        return [digest for digest, size in zip(wanted, sizes, strict=True) if size is not None]

    def entries(self, version: str) -> list[tuple[str, str]]:
        """(path, md5) of each file of a version as its listing there says; none if that is not there."""
        listing = self._ask(lambda: self._read("/".join(self._place(version))))
        try:
            return [(row["relpath"], row["md5"]) for row in json.loads(listing or b"[]")]
        except (ValueError, KeyError, TypeError):
            return []

    def remove(self, digests: Iterable[str], notes: Iterable[str]) -> None:
        """Delete notes and objects, for everybody who uses the remote; what is not there is passed over."""
        there = [(NOTES, note) for note in notes if self.read(note) is not None]
        for place in [*there, *map(self._place, self.present(digests))]:
            self._ask(lambda place=place: self._remove(place))  # type: ignore[misc]

    def push(self, version: str, *, anew: bool = False) -> bool:
        """Bring a version from DVC's cache into the remote; False if it was all there.

        What lies there with another size is what a killed upload has left, and is written anew.

        Args:
            anew: write also what lies there with the right size: it has turned out to be damaged.
        """
        wrong = self._ask(lambda: self._lacking(version, anew=anew))
        if not wrong:
            return False
        for digest, size in wrong.items():
            if size is not None:
                self._ask(lambda digest=digest: self._remove(self._place(digest)))  # type: ignore[misc]
        self._transfer(version)
        if self._ask(lambda: self._lacking(version)):
            raise RemoteError(f"remote '{self.name}' ({self.url}) did not keep all of {version}; push again")
        return True

    def _ask(self, question: Callable[[], T]) -> T:
        """Put a question that should be answered soon."""
        answers: list[T] = []
        errors: list[BaseException] = []

        def ask() -> None:
            try:
                self._check_folder()
                answers.append(question())
            except BaseException as error:  # told below, in the thread that waits
                errors.append(error)

        if self.folder:
            ask()
        else:
            thread = threading.Thread(target=ask, daemon=True)
            thread.start()
            thread.join(PATIENCE)
        if answers:
            return answers[0]
        raise self._told(errors[0] if errors else TimeoutError(f"no answer in {PATIENCE:.0f} s"))

    def _check_folder(self) -> None:
        """A folder that is not there yet will be made, but not on a disk that is not mounted."""
        if self.folder and not self.folder.is_dir() and not self.folder.parent.is_dir():
            raise FileNotFoundError(f"there is no {self.folder.parent}; mount it, or make the folder")

    def _told(self, error: BaseException) -> RemoteError:
        if isinstance(error, RemoteError):
            return error
        if not isinstance(error, Exception):
            raise error
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
            text = f"refuses the credentials or the right to write: {text}; see `dvc remote modify --local`"
        elif "MissingDeps" in type(error).__name__ or isinstance(error, ImportError):
            scheme = self.url.partition("://")[0]
            text = f"needs a part of DVC that is not installed: pip install dvc-{scheme}"
        else:
            text = f"does not answer: {text}"
        return RemoteError(f"remote '{self.name}' ({self.url}) {text}")

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """DVC's file system of the remote, and where in it the remote begins."""
        with repository(self.workspace) as opened:
            remote = opened.cloud.get_remote(self.name)
            return remote.fs, remote.path

    def _read(self, path: str) -> bytes | None:
        try:
            if self.folder:
                return (self.folder / path).read_bytes()
            files, root = self._opened
            return bytes(files.fs.cat_file(files.join(root, *path.split("/"))))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _write(self, path: str, content: bytes) -> None:
        if self.folder:
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            scratch = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
            scratch.write_bytes(content)
            scratch.replace(file)
            return
        files, root = self._opened
        target = files.join(root, *path.split("/"))
        if files.protocol in WITH_FOLDERS:
            files.makedirs(files.parent(target))
        files.fs.pipe_file(target, content)

    def _place(self, digest: str) -> tuple[str, str, str, str]:
        return "files", "md5", digest[:2], digest[2:]

    def _sizes(self, digests: list[str]) -> list[int | None]:
        """Bytes of objects as they lie in the remote; None for those that are not there."""
        if self.folder:
            paths = [self.folder.joinpath(*self._place(digest)) for digest in digests]
            return [path.stat().st_size if path.is_file() else None for path in paths]
        files, root = self._opened
        files.fs.invalidate_cache()
        found = files.info([files.join(root, *self._place(each)) for each in digests], return_exceptions=True)
        for answer in found:
            if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
                raise answer
        return [None if isinstance(answer, Exception) else answer["size"] for answer in found]

    def _lacking(self, version: str, *, anew: bool = False) -> dict[str, int | None]:
        """The objects of a version that are not there as the cache has them, with the size that they have."""
        digests = sorted({digest for _, digest in entries_of(self.workspace, version)} | {version})
        wanted = [object_path(self.workspace, digest).stat().st_size for digest in digests]
        there = self._sizes(digests)
        rows = zip(digests, wanted, there, strict=True)
        return {digest: size for digest, length, size in rows if anew or size != length}

    def _remove(self, place: tuple[str, ...]) -> None:
        if self.folder:
            self.folder.joinpath(*place).unlink(missing_ok=True)
        else:
            files, root = self._opened
            files.remove(files.join(root, *place))

    def _transfer(self, version: str) -> None:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.transfer import transfer

        try:
            with repository(self.workspace) as opened:
                target = opened.cloud.get_remote_odb(self.name, "push")
                transfer(opened.cache.local, target, {HashInfo("md5", version)}, shallow=False)
        except Exception as error:  # of DVC, of fsspec, of the service's own library
            raise self._told(error) from error


_known: dict[tuple[Path, str, str], Remote] = {}


def open_remote(workspace: Path) -> Remote | None:
    """The workspace's default remote; None if it has none. DVC is not imported yet."""
    name = default_remote(workspace)
    if name is None:
        return None
    url = remote_url(workspace, name)
    if url is None:
        raise RemoteError(f"remote '{name}' has no url; set one: dvc remote add --default {name} URL")
    # One for all steps of a run: what was opened stays open, and a trouble is met once.
    return _known.setdefault((workspace, name, url), Remote(workspace, name, url))
