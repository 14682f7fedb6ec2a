"""Locks that the kernel frees when their holder dies, `kill -9` included."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock(path: Path, *, shared: bool = False, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock file, shared with other readers or alone; `on_wait` is called once before waiting."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    descriptor = _open(path)
    try:
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait:
                    on_wait()
                    on_wait = None
                fcntl.flock(descriptor, kind)
            if _is_still(descriptor, path):
                break
            os.close(descriptor)  # somebody deleted the file: the others will lock a new one
            descriptor = _open(path)
        if not shared:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    # A descriptor of its own per call: flock is per open file, so threads exclude each other as well.
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def try_lock(path: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold a lock file, shared or alone, if nobody else is in the way; says whether that worked."""
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody holds this lock right now."""
    if not path.exists():
        return False
    with try_lock(path) as got:
        return not got
