"""Cutting a huge file into ranges that are read apart: each begins where a record does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from lmcore.corpus.inputs import skip_line
from lmcore.corpus.readers import Cuts

BLOCK = 1 << 22


def cut_after(file: Path, size: int, is_start: Callable[[bytes], bool] | None = None) -> list[int]:
    """The start of the file, and of the first line at or after each multiple of `size`.

    Args:
        is_start: tells of a line whether a record begins with it; any, if left out.
    """
    starts, at, end = [0], 0, file.stat().st_size
    with file.open("rb") as stream:
        for target in range(size, end, size):
            if target <= at:  # within a record that is longer than a range
                continue
            stream.seek(target - 1)
            at = target - 1 + skip_line(stream)
            while is_start and at < end and not is_start(line := stream.readline(BLOCK)):
                at += len(line) + (0 if line.endswith(b"\n") else skip_line(stream))
            if at < end:
                starts.append(at)
    return starts


def measured(file: Path, starts: list[int], newline: bytes | None) -> Cuts | None:
    """Digests and line numbers of ranges; None where there is but one.

    Args:
        starts: where each range begins. What stands before the first is a header: all ranges depend on it.
        newline: what ends a line; None: `\\n`, `\\r` and `\\r\\n`, as in text files of all systems.
    """
    if len(starts) < 2:
        return None
    digests, lines, line = [], [], 0
    with file.open("rb") as stream:
        head = stream.read(starts[0])
        line += _count(head, newline)
        for start, end in zip(starts, [*starts[1:], file.stat().st_size], strict=True):
            digest = sha256(head)
            lines.append(line if start != starts[0] else 0)
            for block in _blocks(stream, end - start):
                digest.update(block)
                line += _count(block, newline)
            digests.append(digest.hexdigest())
    return Cuts(starts, lines, digests)


def _blocks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """So many bytes, in blocks that never part a `\\r` from its `\\n`."""
    while size > 0 and (block := stream.read(min(BLOCK, size))):
        size -= len(block)
        if block.endswith(b"\r") and size > 0:
            more = stream.read(1)
            block, size = block + more, size - len(more)
        yield block


def _count(block: bytes, newline: bytes | None) -> int:
    if newline:
        return block.count(newline)
    return block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
