"""What a step costs: wall time, processor time of its process tree, memory at the peak."""

from __future__ import annotations

import os
import resource
import threading
import time
from pathlib import Path
from typing import Self

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Measure what happens inside a `with`.

    Memory is what comes on top of what there was at the start, sampled over this process and its children
    a few times a second; branches that run at the same time in one process count each other's.
    """

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._cpu_before = _cpu_seconds()
        self._memory_before = _memory()
        self._peak_memory = 0
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._sampler.join()

    @property
    def peak_memory(self) -> int:
        """Bytes; of what is over before the first sample, what is left of it."""
        self._look()
        return self._peak_memory

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    @property
    def cpu_seconds(self) -> float:
        return _cpu_seconds() - self._cpu_before

    def _sample(self) -> None:
        while not self._stop.wait(0.2):
            self._look()

    def _look(self) -> None:
        self._peak_memory = max(self._peak_memory, _memory() - self._memory_before)


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _memory() -> int:
    """Resident bytes of this process and its descendants; 0 where /proc does not tell."""
    return sum(_resident(pid) for pid in _tree(os.getpid()))


def _tree(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return [pid]
    children = [child for thread in threads for child in _children(thread)]
    return [pid, *(below for child in children for below in _tree(child))]


def _children(thread: Path) -> list[int]:
    try:
        return [int(child) for child in (thread / "children").read_text().split()]
    except OSError:  # it ended since the listing, or the kernel does not tell
        return []


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
