"""How fast batches come from shards, and how full and how fast documents are packed.

    python bench/loader.py [SHARDS]     SHARDS: a folder such as data/shards/demo, packed as well

Processor time of one thread; a file of 64 M tokens in the page cache, rows at random places. The peer is the
plain way: a slice of the memory map for each row, converted and stacked.
"""

from __future__ import annotations

import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from lmcore.batching.loader import BatchLoader
from lmcore.batching.mixture import MixtureWindows, SourceStream
from lmcore.batching.packing import PackedWindows
from lmcore.batching.settings import ShardsConfig
from lmcore.batching.shard_index import ShardFile, SideIndex, StoredFile
from lmcore.batching.stream import Places
from lmcore.batching.token_shards import ShardStream, TokenShards
from lmcore.batching.windows import TrainingWindows

CONTEXTS = (256, 1024, 2048)
BATCH_SIZE = 64
TOKENS = 30_000_000
"""Tokens that are read for one figure."""
BYTES_PER_TOKEN = 4


def measure(draw: Callable[[int], object], context: int) -> float:
    """Tokens per processor second of one thread."""
    draw(0)
    steps = TOKENS // (BATCH_SIZE * (context + 1))
    began = time.thread_time()
    for step in range(steps):
        draw(step)
    return steps * BATCH_SIZE * (context + 1) / (time.thread_time() - began)


def make_stream(folder: Path, num_shards: int) -> ShardStream:
    """Random tokens in files, all of them read once."""
    tokens, files = ShardsConfig().shard_tokens // num_shards, []
    for number in range(num_shards):
        row = np.random.default_rng(number).integers(0, 50_000, tokens, dtype=np.uint16)
        row.tofile(folder / f"{num_shards}-{number}.bin")
        files.append(ShardFile(file=f"{num_shards}-{number}.bin", size=row.nbytes, sha256="", tokens=tokens))
    none = StoredFile(file="", size=0, sha256="")
    total = tokens * num_shards
    side = SideIndex(
        documents=1, tokens=total, bytes=0, shards=tuple(files), offsets=none, document_table=none
    )
    return ShardStream(folder, side, np.dtype("<u2"), {})


def compare_loaders(stream: ShardStream, row: np.ndarray, context: int) -> str:
    """Our ways in turn, and the plain one."""
    windows = TrainingWindows(stream, context, seed=0)
    half = stream.num_tokens // 2
    halves = {
        name: SourceStream(stream, np.array([first]), np.array([half]))
        for name, first in (("a", 0), ("b", half))
    }
    mixture = MixtureWindows(halves, {"a": 3.0, "b": 1.0}, context, seed=0)
    batches, random = iter(BatchLoader(windows, BATCH_SIZE)), np.random.default_rng(0)

    def plain(_: int) -> np.ndarray:
        starts = random.integers(0, len(row) - context - 1, BATCH_SIZE)
        return np.stack([row[start : start + context + 1].astype(np.int64) for start in starts])

    ways = {
        "windows": lambda step: windows.batch(step, BATCH_SIZE),
        "loader": lambda _: next(batches),
        "mixture": lambda step: mixture.batch(step, BATCH_SIZE),
        "plain": plain,
    }
    speeds = {name: measure(draw, context) / 1e6 for name, draw in ways.items()}
    told = ", ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items())
    return f"{told} M tokens/s; windows / plain {speeds['windows'] / speeds['plain']:.1f}"


def pack(name: str, lengths: Places, contexts: tuple[int, ...]) -> None:
    """Make an index of pieces for each context."""
    offsets = np.append(0, np.cumsum(lengths))
    print(f"packing {len(lengths):,} documents, {offsets[-1]:,} tokens: {name}")
    for context in contexts:
        began = time.thread_time()
        packed = PackedWindows(_Nothing(), offsets, context, seed=0)
        took = time.thread_time() - began
        least = fewest_rows(lengths, context + 1)
        print(
            f"  context {context}: {packed.full_share:.3%} full, {packed.num_windows:,} rows "
            f"(these pieces need at least {least:,}), {offsets[-1] / took / 1e6:,.0f} M tokens/s"
        )


def fewest_rows(documents: Places, capacity: int) -> int:
    """A bound of every packing of the pieces (L2; Martello & Toth 1990).

    For each k: pieces longer than capacity - k share a row with none of k or more, pieces longer than half a
    row with no other such one, and what those leave free is all that the others of k or more can have.
    """
    num_full = (documents - 1) // capacity
    pieces = np.sort(documents - num_full * capacity)
    halves = np.searchsorted(pieces, capacity // 2, side="right")
    below, best = np.append(0, np.cumsum(pieces)), 0
    for k in range(capacity // 2 + 1):
        small = np.searchsorted(pieces, k)
        alone = max(np.searchsorted(pieces, capacity - k, side="right"), halves)
        free = (alone - halves) * capacity - (below[alone] - below[halves])
        rest = -(-int(below[halves] - below[small] - free) // capacity)
        best = max(best, len(pieces) - int(halves) + max(0, rest))
    return int(num_full.sum()) + best


class _Nothing:
    num_tokens = 0
    origin: ClassVar[dict[str, str]] = {}

    def gather(self, firsts: Places, lengths: Places) -> Places:
        raise NotImplementedError


def main(shards: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for num_shards in (1, 16):
            stream = make_stream(Path(folder), num_shards)
            row = np.memmap(Path(folder) / f"{num_shards}-0.bin", "<u2", "r")
            for context in CONTEXTS:
                told = compare_loaders(stream, row, context)
                print(f"{num_shards} files, rows of {context + 1}, batches of {BATCH_SIZE}: {told}")
    files = [
        path
        for path in Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")
        if "site-packages" not in path.parts
    ]
    sizes = np.array([1 + path.stat().st_size // BYTES_PER_TOKEN for path in files])
    pack(f"files of Python's library, {BYTES_PER_TOKEN} bytes a token", sizes, (*CONTEXTS, 4096))
    if shards:
        pack(str(shards), np.diff(TokenShards(shards).offsets("train")), (*CONTEXTS, 4096))
    drawn = np.random.default_rng(0).lognormal(6, 1.2, 1_000_000).astype(np.int64) + 1
    pack("log-normal lengths", drawn, (*CONTEXTS, 4096))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
