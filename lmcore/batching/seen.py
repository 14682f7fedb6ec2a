"""Which documents a model was made with, and on which side: small enough to keep beside the model for good.

No text is kept, only digests and where each document came from.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lmcore.batching.shard_index import DocumentSpan, check_file, read_documents, read_index
from lmcore.lineage import digest_of

FILE = "documents.parquet"


class SeenDocument(NamedTuple):
    """A document of the shards that a model was trained and measured on."""

    digest: str
    side: str
    """train, validation (which chose among checkpoints and models) or test."""
    source: str
    file: str
    line: int
    title: str


def write_seen(shards: Path, out: Path) -> None:
    """Write `documents.parquet` into the folder `out`: a row per document of the shards, in their order.

    Raises:
        Damaged: the shards are.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        _seen(span, side)
        for side, index in read_index(shards).sides.items()
        for span in read_documents(check_file(index.document_table, shards, is_thorough=False))
    ]
    columns = dict(zip(SeenDocument._fields, zip(*rows, strict=True), strict=True)) if rows else {}
    types = [(name, pa.int64() if name == "line" else pa.string()) for name in SeenDocument._fields]
    table = pa.table({name: columns.get(name, ()) for name, _ in types}, schema=pa.schema(types))
    pq.write_table(table, out / FILE, compression="zstd")


def read_seen(folder: Path) -> list[SeenDocument]:
    """What `write_seen` wrote.

    Raises:
        ValueError: there is no such file, or it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = pq.read_table(folder / FILE, columns=list(SeenDocument._fields)).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{folder} has no readable {FILE}, so nobody knows what its model saw") from error
    return [SeenDocument(*row) for row in zip(*columns.values(), strict=True)]


def data_digest(documents: Iterable[str]) -> str:
    """One digest for a set of documents (or conversations), by the digests of each, in any order."""
    return digest_of(sorted(set(documents)))


def _seen(span: DocumentSpan, side: str) -> SeenDocument:
    return SeenDocument(span.digest, side, span.source, span.file, span.line, span.title)
