"""Work on many documents, cut into pieces: done side by side, and never twice for one that did not change.

A piece is a folder that a pure function filled; its key names all that may change its bytes. Kept pieces are
only a shortcut: where they are missing or damaged, the same bytes are made again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from lmcore.corpus.document import Progress
from lmcore.lineage import file_digest
from lmcore.registry import workspace_parts
from lmcore.runtime import die_with_parent

LISTING = "piece.json"
SMALL = 16_000_000
"""Bytes of work for which starting processes costs more than it saves."""
AHEAD = 2
"""Pieces for each process that are begun before they are asked for."""


class WorkerLostError(RuntimeError):
    """A process that worked on a piece was killed, most often because memory ran out."""


@dataclass(frozen=True)
class Job:
    """One piece to make: `function(folder, *arguments)` fills a folder."""

    key: str
    """Digest of all that may change the piece; of its inputs, that is, for the function and settings of one
    `Pieces` are the same."""
    arguments: tuple[Any, ...]
    """What the function is given behind the folder; plain enough to be sent to another process."""
    size: int = 0
    """Bytes of work, about: progress is told in them."""


class Pieces:
    """Pieces in a folder, each under its key; the same folder serves any number of processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.num_made = self.num_reused = 0
        self.found: set[str] = set()
        """Keys of those that were there already when they were asked for."""

    def tell_reused(self, say: Callable[[str], None], work: str) -> None:
        """Say how many pieces were there already, if some were; `work` is what was done to the rest."""
        total = self.num_reused + self.num_made
        rest = f"; the rest is {work}" if self.num_made else ""
        if self.num_reused:
            say(f"{self.num_reused} of {total} parts are as they were and taken over{rest}")

    def find(self, key: str) -> Path | None:
        """The piece, if it is there and its bytes are those that were written."""
        folder = self._place(key)
        try:
            listing = json.loads((folder / LISTING).read_bytes())
            is_whole = all(file_digest(folder / name) == digest for name, digest in listing.items())
        except (OSError, ValueError, AttributeError, TypeError):
            return None
        if is_whole:
            os.utime(folder)  # what has not been used for long is pruned
        return folder if is_whole else None

    def scratch(self) -> Path:
        """An empty folder to make a piece in."""
        folder = self.folder / f".{uuid.uuid4().hex}.{os.getpid()}"
        folder.mkdir(parents=True)
        return folder

    def keep(self, key: str, scratch: Path) -> Path:
        """Put a finished piece in its place; one that is there already, whole, stays."""
        digests = {path.name: file_digest(path) for path in sorted(scratch.iterdir())}
        (scratch / LISTING).write_text(json.dumps(digests, sort_keys=True), encoding="utf-8")
        place = self._place(key)
        for _ in range(2):
            try:
                scratch.rename(place)
                return place
            except OSError:
                if found := self.find(key):
                    shutil.rmtree(scratch)
                    return found
                shutil.rmtree(place, ignore_errors=True)  # damaged
        scratch.rename(place)
        return place

    def _place(self, key: str) -> Path:
        return self.folder / sha256(key.encode()).hexdigest()[:32]


@contextmanager
def kept_or_passing(kept: Path | None) -> Iterator[Pieces]:
    """The pieces kept in a folder; without one, in a passing folder that is gone afterwards."""
    if kept:
        yield Pieces(kept)
        return
    with tempfile.TemporaryDirectory(prefix="lm-pieces-") as folder:
        yield Pieces(Path(folder))


def make_pieces(
    pieces: Pieces,
    function: Callable[..., None],
    jobs: Sequence[Job],
    cores: int = 1,
    progress: Progress | None = None,
) -> Iterator[Path]:
    """The folder of each job's piece, in the order of the jobs; made by up to `cores` processes.

    Args:
        function: a plain function of a module, called as `function(folder, *job.arguments)`.
        progress: called with the bytes that are done, and all.

    Raises:
        WorkerLostError: a process died; whatever the function raises comes through as it is.
    """
    total, done = sum(job.size for job in jobs), 0
    found = {job.key: pieces.find(job.key) for job in jobs}
    missing = sum(job.size for job in jobs if found[job.key] is None)
    pieces.found |= {key for key, path in found.items() if path}
    pieces.num_reused += sum(path is not None for path in found.values())
    pieces.num_made += sum(path is None for path in found.values())
    if progress and total:
        progress(0, total)
    with _workers(cores if missing > SMALL else 1) as pool:
        for job, place in _in_order(pieces, function, jobs, found, pool, cores * AHEAD):
            yield place
            done += job.size
            if progress and total:
                progress(done, total)


def _in_order(
    pieces: Pieces,
    function: Callable[..., None],
    jobs: Sequence[Job],
    found: dict[str, Path | None],
    pool: ProcessPoolExecutor | None,
    ahead: int,
) -> Iterator[tuple[Job, Path]]:
    begun: deque[tuple[Job, Path | Future[Path]]] = deque()
    waiting = deque(jobs)
    asked: dict[str, Path | Future[Path]] = {key: path for key, path in found.items() if path}
    while waiting or begun:
        while waiting and len(begun) < max(ahead, 1):
            job = waiting.popleft()
            if job.key not in asked:
                work = (pieces.folder, function, job.key, job.arguments)
                asked[job.key] = pool.submit(_make, *work) if pool else _make(*work)
            begun.append((job, asked[job.key]))
        job, piece = begun.popleft()
        if isinstance(piece, Path):
            yield job, piece
            continue
        try:
            yield job, piece.result()
        except BrokenProcessPool:
            raise WorkerLostError(
                "a process that worked on the documents was killed, most likely because memory ran out; "
                "run again with more memory, or with fewer cores"
            ) from None


def _make(folder: Path, function: Callable[..., None], key: str, arguments: tuple[Any, ...]) -> Path:
    pieces = Pieces(folder)
    scratch = pieces.scratch()
    try:
        function(scratch, *arguments)
        return pieces.keep(key, scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


@contextmanager
def _workers(cores: int) -> Iterator[ProcessPoolExecutor | None]:
    """Processes that start from nothing: forks of a process with threads may hang. They die with this one."""
    if cores <= 1:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(cores, context, initializer=_begin, initargs=(list(workspace_parts),))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(parts: list[Path]) -> None:
    die_with_parent()
    workspace_parts.extend(parts)
