"""A long table of documents as chunks that do not depend on their neighbours.

Where a chunk ends is decided by the document that ends it, by its digest and its size: a document that is
added or taken away changes the chunk that it falls into, and leaves all others as they were. So the pieces of
work that were done on them are found again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 4_000_000
"""How much text a chunk has, on average."""
LARGEST = 4
"""No chunk goes on past this many times the average, unless it is one document."""


@dataclass(frozen=True)
class Chunk:
    """Some neighbouring rows of a Parquet file of documents."""

    file: Path
    first: int
    """The number of its first row."""
    count: int
    size: int
    """Bytes of text."""
    digest: str
    """Digest of its documents, all fields."""

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Its rows, a row group of the file at a time."""
        yield from read_rows(self.file, self.first, self.count, columns)


def chunks_of(file: Path, chunk_bytes: int | None = None) -> list[Chunk]:
    """The chunks of a file, in order; every row stands in one.

    Args:
        file: Parquet with the columns of `Document`; the digest of each text is believed.
        chunk_bytes: how much text a chunk has on average; CHUNK_BYTES if left out.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    chunk_bytes = chunk_bytes or CHUNK_BYTES
    found: list[Chunk] = []
    first = count = size = row = 0
    state = sha256()
    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(batch_size=2_000):
            lengths = pc.binary_length(batch["text"]).to_pylist()
            others = [batch[name].to_pylist() for name in batch.schema.names if name != "text"]
            for digest, length, fields in zip(
                batch["digest"].to_pylist(), lengths, zip(*others, strict=True), strict=True
            ):
                if count and size + length > LARGEST * chunk_bytes:
                    found.append(Chunk(file, first, count, size, state.hexdigest()))
                    first, count, size, state = row, 0, 0, sha256()
                state.update(repr(fields).encode())
                count, size, row = count + 1, size + length, row + 1
                if int(digest[:12], 16) < (1 << 48) * length / chunk_bytes:
                    found.append(Chunk(file, first, count, size, state.hexdigest()))
                    first, count, size, state = row, 0, 0, sha256()
    if count:
        found.append(Chunk(file, first, count, size, state.hexdigest()))
    return found


def read_rows(
    file: Path, first: int, count: int, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """`count` rows from number `first` on, a row group at a time; other row groups are not read."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        start = 0
        for group in range(opened.num_row_groups):
            rows = opened.metadata.row_group(group).num_rows
            begin, end = max(first - start, 0), min(first + count - start, rows)
            if begin < end:
                table = opened.read_row_group(group, columns=columns).slice(begin, end - begin)
                yield from table.to_batches()
            start += rows
