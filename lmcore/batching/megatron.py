"""Token shards as the indexed data sets of Megatron-LM (`megatron/core/datasets/indexed_dataset.py`).

`<side>.bin` is the side's tokens, one document after the other, each with its end-of-text token.
`<side>.idx` is, little-endian: nine bytes of magic, the version (uint64), a code for the type of the ids
(uint8), the numbers of sequences and of document indices (uint64 each), each sequence's length (int32), where
it begins in bytes (int64), and the document indices (int64). A sequence is a document here, so those are 0,
1, ..., the number of documents.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lmcore.batching.token_shards import TokenShards

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
DTYPES = {"uint16": ("<u2", 8), "uint32": ("<i4", 4)}
"""Of our ids: the type of Megatron's, and its code. It has no uint32; ids stay far below 2^31."""
CHUNK_BYTES = 1 << 24


def export(shards: TokenShards, out: Path, side: str) -> tuple[Path, Path]:
    """Write a side as `out/<side>.bin` and `out/<side>.idx`, the index last; their paths.

    A file appears whole or not at all.

    Raises:
        ValueError: there is no such side, or a document is longer than the format can say.
    """
    files, lengths = shards.side(side).shards, np.diff(shards.offsets(side))
    if lengths.max(initial=0) > np.iinfo(np.int32).max:
        raise ValueError(
            f"a document of {lengths.max()} tokens is longer than the 2147483647 that Megatron's index can "
            f"say; cut it before it is encoded"
        )
    dtype, code = DTYPES[shards.index.dtype]
    begins = shards.offsets(side)[:-1] * np.dtype(dtype).itemsize
    out.mkdir(parents=True, exist_ok=True)
    with _whole(out / f"{side}.bin") as file:
        for shard in files:
            # int32 and uint32 have the same bytes where the ids are.
            with (shards.folder / shard.file).open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    file.write(chunk)
    with _whole(out / f"{side}.idx") as file:
        file.write(MAGIC + struct.pack("<QBQQ", VERSION, code, len(lengths), len(lengths) + 1))
        file.write(lengths.astype("<i4").tobytes())
        file.write(begins.astype("<i8").tobytes())
        file.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())
    return out / f"{side}.bin", out / f"{side}.idx"


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its place when all of it is written."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            yield file
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
