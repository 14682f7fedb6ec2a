"""Pieces of a source become its two tables: rows are copied as Arrow columns, never one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lmcore.corpus.document import CHARACTERS_IN_GROUP, ROWS_IN_GROUP, Document, Rejected, schema_of
from lmcore.corpus.reading import DOCUMENTS, REJECTED

if TYPE_CHECKING:
    import pyarrow as pa

BYTES_IN_GROUP = CHARACTERS_IN_GROUP


class Made(NamedTuple):
    """A piece, and where it stands in its file."""

    folder: Path
    file: str
    """Its file, if it is a range of one; else empty."""
    lines_before: int


@dataclass
class Joined:
    """What came together."""

    documents: int = 0
    characters: int = 0
    rejected: int = 0
    whole_files: int = 0
    """Rejections that stand for a whole file, or for all of one from some place on."""
    rules: Counter[str] = field(default_factory=Counter)
    """How many were rejected by each rule."""


def join_pieces(source: str, pieces: Iterable[Made], out: Path) -> Joined:
    """Write `documents.parquet` and `rejected.parquet` into `out`, in the order of the pieces.

    A range's documents are numbered on from the ranges before it, and so are their lines. The bytes do not
    depend on where the pieces begin.
    """
    joined, file, number = Joined(), "", 0
    with (
        RowGroups(out / DOCUMENTS, schema_of(Document)) as documents,
        RowGroups(out / REJECTED, schema_of(Rejected)) as rejected,
    ):
        for piece in pieces:
            if piece.file != file or not file:
                file, number = piece.file, 0
            rows = 0
            for batch in _batches(piece.folder / DOCUMENTS):
                documents.write(_placed(batch, documents.schema, source, number, piece.lines_before))
                joined.characters += _characters(batch)
                rows += batch.num_rows
            joined.documents += rows
            for batch in _batches(piece.folder / REJECTED):
                rejected.write(_placed(batch, rejected.schema, source, number, piece.lines_before))
                joined.rules.update(batch.column("rule").to_pylist())
                joined.whole_files += batch.column("is_whole_file").true_count
                joined.rejected += batch.num_rows
                rows += batch.num_rows
            number += rows
    return joined


class RowGroups:
    """Writes a Parquet file of which the row groups depend on the rows alone, not on how they arrive."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self.schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._file = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=[name for name in schema.names if name not in ("id", "text", "digest")],
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        import numpy as np
        import pyarrow.compute as pc

        sizes = np.cumsum(pc.binary_length(batch.column("text")).to_numpy(zero_copy_only=False))
        start = 0
        while start < batch.num_rows:
            before = int(sizes[start - 1]) if start else 0
            full = int(np.searchsorted(sizes, BYTES_IN_GROUP - self._bytes + before)) + 1
            end = min(full, start + ROWS_IN_GROUP - self._rows, batch.num_rows)
            self._waiting.append(batch.slice(start, end - start))
            self._rows += end - start
            self._bytes += int(sizes[end - 1]) - before
            start = end
            if self._rows >= ROWS_IN_GROUP or self._bytes >= BYTES_IN_GROUP:
                self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self.schema).combine_chunks()
            self._file.write_table(table, row_group_size=self._rows)
        self._waiting, self._rows, self._bytes = [], 0, 0

    def __enter__(self) -> RowGroups:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._file.close()


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        if file.metadata.num_rows:
            yield from file.iter_batches(ROWS_IN_GROUP, use_threads=False)


def _placed(batch: pa.RecordBatch, schema: pa.Schema, source: str, number: int, lines: int) -> pa.RecordBatch:
    """Rows of a piece as rows of a product: with ids, and numbers that count from the file's beginning."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pc.cast(pc.add(batch.column("number"), number), pa.string())
    made = {
        "id": pc.binary_join_element_wise(f"{source}/", batch.column("file"), "#", numbers, ""),
        "source": pa.repeat(pa.scalar(source), batch.num_rows),
        "line": pc.add(batch.column("line"), lines),
        "family": pa.repeat(pa.scalar(""), batch.num_rows),
        "stage": pa.repeat(pa.scalar("ingest"), batch.num_rows),
        "value": pa.nulls(batch.num_rows, pa.float64()),
        "threshold": pa.nulls(batch.num_rows, pa.float64()),
    }
    columns = [made[name] if name in made else batch.column(name) for name in schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _characters(batch: pa.RecordBatch) -> int:
    import pyarrow.compute as pc

    return int(pc.sum(pc.utf8_length(batch.column("text"))).as_py() or 0)
