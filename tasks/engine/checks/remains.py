"""What a killed run leaves in the workspace's folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tasks.engine import leftovers
from tasks.engine.checks.finding import Finding
from tasks.engine.leftovers import Unfinished, build_locks, hold_all
from tasks.engine.locks import is_held
from tasks.engine.proof import prove
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace


def unfinished_work(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """Half-made products that nobody is making any more."""
    for each in leftovers.unfinished(workspace):
        if any(map(is_held, build_locks(workspace, each.last))):
            continue
        mend = partial(_discard, workspace, each)
        name = f"{each.step} ({each.last})"
        if each.can_go_on:
            where = f" at step {each.saved_at:,}" if each.saved_at else ""
            yield Finding(
                f"{name} was interrupted{where}", "the next run goes on with it", mend, is_note=True
            )
        else:
            yield Finding(f"{name} was interrupted and left half a product", "the next run begins anew", mend)


def half_moved_products(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """Where folders are on several file systems, a product is first copied beside its place."""
    for folder in leftovers.half_moved(workspace):
        target = _target(folder)
        if not any(map(is_held, build_locks(workspace, target.name))):
            what = f"{workspace.address(folder)} was on its way when its run was killed"
            yield Finding(what, "the next run makes it again", partial(_settle, workspace, folder))


def half_written_files(workspace: Workspace, _: bool) -> Iterator[Finding]:
    for path in leftovers.half_written(workspace):
        what = f"{workspace.address(path)} was being written when its process was killed"
        yield Finding(what, "nobody reads it; delete it", partial(_delete, path))


def broken_links(workspace: Workspace, _: bool) -> Iterator[Finding]:
    for link in leftovers.broken_links(workspace):
        what = f"{workspace.address(link)} leads to {link.readlink()}, which is gone"
        yield Finding(what, "the next run sets it anew", _delete_link(link))


def _target(folder: Path) -> Path:
    """`.name.incoming` and `.name.1234` belong to `name`."""
    return folder.with_name(folder.name[1:].rpartition(".")[0])


def _settle(workspace: Workspace, folder: Path) -> None:
    """A whole product goes into its place if that is empty; all else is out of the way."""
    target = _target(folder)
    with ExitStack() as held:
        if not hold_all(build_locks(workspace, target.name), held):
            return
        proof = prove(workspace, workspace.address(folder), in_full=True)
        if proof.manifest and not os.path.lexists(target):
            os.rename(folder, target)
        else:
            Store(workspace).set_aside(folder, workspace.address(folder))


def _discard(workspace: Workspace, work: Unfinished) -> None:
    with ExitStack() as held:
        if hold_all(build_locks(workspace, work.last), held):
            shutil.rmtree(work.folder, ignore_errors=True)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _delete_link(link: Path) -> Callable[[], None]:
    def delete() -> None:
        if not link.exists():
            link.unlink(missing_ok=True)

    return delete
