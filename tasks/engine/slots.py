"""Compute slots: the cores of this machine, shared by everything that computes on it.

Ten runs at once on two cores are slower than one after the other. A step that computes on several cores takes
a slot for each, from all workspaces of this user alike, and waits while there are too few. A slot is a lock
file, so the kernel frees it however its holder ends.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lmcore.runtime import usable_cores
from tasks.engine.locks import lock, try_lock

PATIENCE_SECONDS = 0.1
LONG_SECONDS = 60.0


@contextmanager
def compute_slots(wanted: int, on_wait: Callable[[], None] | None = None) -> Iterator[int]:
    """Hold a slot for each of `wanted` cores, of all that there are if more are wanted; gives their number.

    Who waits for slots holds none, so nobody waits in a circle. `on_wait` is called once, when waiting takes
    long: that the branches of one run wait for each other is nothing to speak of.
    """
    folder, total = _folder(), usable_cores()
    number = max(1, min(wanted, total))
    with ExitStack() as held:
        began = time.monotonic()
        while not _take(held, folder, total, number):
            if on_wait and time.monotonic() - began > LONG_SECONDS:
                on_wait()
                on_wait = None
            time.sleep(PATIENCE_SECONDS)
        yield number


def _take(held: ExitStack, folder: Path, total: int, number: int) -> bool:
    """All of the slots, or none of them; one process at a time, or two might each take half of them."""
    with ExitStack() as taken, lock(folder / "gate"):
        count = 0
        for core in range(total):
            count += taken.enter_context(try_lock(folder / f"core-{core}"))
            if count == number:
                held.push(taken.pop_all())
                return True
    return False


def _folder() -> Path:
    """One for each user of the machine, whatever workspace a run belongs to."""
    folder = Path(os.environ.get("LM_SLOTS") or Path(tempfile.gettempdir()) / f"lmworks-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
