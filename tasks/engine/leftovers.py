"""What a `kill -9` leaves: half-made products, files that were being written, links to nothing."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.engine.locks import is_held, try_lock
from tasks.engine.reach import RUN_HOMES, links
from tasks.engine.step import known_steps
from tasks.engine.workspace import Workspace

TRASH = "trash"
CATALOGUE = "catalogue"
"""What was counted of corpora and of token shards, by the first digits of their keys."""
PIECES = "pieces"
"""Pieces of the work of steps, see `lmcore/corpus/pieces.py`: `<step>/<settings and code>/<inputs>/`."""
_SCRATCH = re.compile(r"^(?:restore-|replay-)?(?P<step>\w+)-[0-9a-f]{16}~(?P<last>.+)$")
_BY_PROCESS = re.compile(r"^(?:\..+?|code-facts|[0-9a-f]{24})\.(?P<pid>\d+)(?:\.\d+)?$")
"""How a file is called that is renamed when it is whole: the process that writes it stands in its name."""
_NOTES = ("", "manifests", "last", "copies", "probes", "proofs", "carried", "prefect")


@dataclass(frozen=True)
class Unfinished:
    """A scratch folder."""

    folder: Path
    step: str
    last: str
    """Last part of the address that the product was made for."""

    @property
    def can_go_on(self) -> bool:
        """The next run takes it up where it was left; everything else is begun anew."""
        step = known_steps.get(self.step)
        return bool(step and step.is_resumable and self.folder.name.startswith(self.step))

    @property
    def age_from(self) -> float:
        """When it was last written to, in seconds since 1970."""
        return max(path.stat().st_mtime for path in [self.folder, *self.folder.rglob("*")] if path.exists())

    @property
    def saved_at(self) -> int | None:
        """The optimizer step at which a training was last saved."""
        saved = [path.name.split("-")[1] for path in self.folder.glob("resume/step-*-*")]
        return max((int(step) for step in saved if step.isdigit()), default=None)


def unfinished(workspace: Workspace) -> list[Unfinished]:
    """All scratch folders, those in use as well."""
    found = []
    for folder in sorted((workspace.private / "scratch").glob("*")):
        name = _SCRATCH.match(folder.name)
        found.append(Unfinished(folder, name["step"] if name else "", name["last"] if name else folder.name))
    return found


def build_locks(workspace: Workspace, last: str) -> list[Path]:
    """The locks under which something whose address ends in `last` is made."""
    folder = workspace.private / "locks"
    homes = {step.makes.home.replace("/", "~") for step in known_steps.values()}
    known = {folder / f"{home}~{last}.build" for home in homes}
    return sorted(known | {path for path in folder.glob("*.build") if path.stem.endswith(f"~{last}")})


def hold_all(locks: Iterable[Path], held: ExitStack) -> bool:
    """Hold all of them, unless somebody else holds one."""
    return all(held.enter_context(try_lock(lock)) for lock in locks)


def is_running(workspace: Workspace) -> bool:
    """Whether a run, or `lm up`, is going on."""
    return is_held(workspace.private / "prefect" / "users.lock")


def broken_links(workspace: Workspace) -> list[Path]:
    """`models/<name>/<step>` that lead nowhere."""
    return [link for link in links(workspace) if not link.exists() and not _BY_PROCESS.match(link.name)]


def half_moved(workspace: Workspace) -> list[Path]:
    """Products that were on their way into their place, or out of it."""
    homes = {step.makes.home for step in known_steps.values()} | set(RUN_HOMES)
    names = [path for home in sorted(homes) for path in sorted(workspace.path(home).glob(".*"))]
    return [path for path in names if path.name.endswith(".incoming") or _has_no_writer(path)]


def half_written(workspace: Workspace) -> list[Path]:
    """Files and folders that nobody goes on writing, and nobody ever reads."""
    root, private = workspace.root, workspace.private
    found = [path for part in _NOTES for path in (private / part).glob("*") if _has_no_writer(path)]
    found += [path for path in (private / PIECES).glob("*/*/.*") if _has_no_writer(path)]
    found += [link for link in links(workspace) if _has_no_writer(link)]
    found += [path for path in root.glob(".dvc.*") if _has_no_writer(path)]
    found += list((private / TRASH).glob("*"))
    if not is_held(private / "tracking.lock"):
        found += private.glob("mlflow-*.db*")
    if not is_held(private / "registry.lock"):
        found += root.glob("mlartifacts/**/.*.new")
    if not is_running(workspace):
        found += (private / "records").glob(".*")
    return sorted(found)


def size_of(paths: Iterable[Path]) -> int:
    """Bytes of files, and of all that lies in folders."""
    return sum(file.lstat().st_size for path in paths for file in _files(path))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        with suppress(FileNotFoundError):
            yield from (inner for inner in path.rglob("*") if inner.is_symlink() or inner.is_file())
    elif os.path.lexists(path):
        yield path


def _has_no_writer(path: Path) -> bool:
    """Its name holds the id of the process that was writing it, and that is gone."""
    name = _BY_PROCESS.match(path.name)
    if not name:
        return False
    try:
        os.kill(int(name["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def remove(workspace: Workspace, path: Path) -> None:
    """A folder in one rename: a reader finds the whole of it, or nothing."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    if path.parent.name != TRASH:
        trash = workspace.private / TRASH / f"{path.name}.{time.time_ns()}"
        trash.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # another file system, or a layer that cannot rename
            os.rename(path, trash)
            path = trash
    shutil.rmtree(path)
