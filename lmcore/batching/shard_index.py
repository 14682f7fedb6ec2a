"""What a folder of shards holds: counts, digests, and where in the stream each document lies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from lmcore.config import Config, explain
from lmcore.lineage import Damaged, file_digest

INDEX = "index.json"
TOKEN_BYTES = "token-bytes.npy"
FORMAT = 2


class StoredFile(Config):
    """One file beside the index."""

    file: str
    size: int
    sha256: str


class ShardFile(StoredFile):
    """A stretch of a side's token stream, little-endian, without a header."""

    tokens: int


class SideIndex(Config):
    """What one side holds."""

    documents: int
    tokens: int
    bytes: int
    """UTF-8 bytes of the documents' text; the end-of-text tokens have none."""
    shards: tuple[ShardFile, ...]
    offsets: StoredFile
    """Where each document begins."""
    document_table: StoredFile
    """What each document is, and where it came from."""


class ShardIndex(Config):
    """The content of index.json."""

    format: Literal[2] = 2
    dtype: Literal["uint16", "uint32"]
    vocab_size: int = Field(ge=1)
    eos_id: int = Field(ge=0)
    tokenizer: str
    """Digest of the tokenizer that made the ids."""
    token_bytes: StoredFile
    sides: dict[str, SideIndex]


class DocumentSpan(NamedTuple):
    """Where a document lies in its side's stream, and where it came from."""

    id: str
    source: str
    file: str
    line: int
    title: str
    digest: str
    first_token: int
    num_tokens: int
    """With the end-of-text token behind the document."""
    num_bytes: int
    """UTF-8 bytes of the text."""


_FIELDS = get_type_hints(DocumentSpan)
CORPUS_COLUMNS = ("id", "source", "file", "line", "title", "digest")
"""What a document is known by; the rest of a span is counted."""


def stored(path: Path) -> StoredFile:
    """The entry of a file that has just been written."""
    return StoredFile(file=path.name, size=path.stat().st_size, sha256=file_digest(path))


def write_index(index: ShardIndex, folder: Path) -> None:
    """Write index.json; the files that it names have been written before."""
    text = json.dumps(index.model_dump(mode="json"), sort_keys=True, indent=1) + "\n"
    (folder / INDEX).write_text(text, encoding="utf-8")


def read_index(folder: Path) -> ShardIndex:
    """Read index.json.

    Raises:
        ValueError: there is none, or another version of the format wrote it.
        Damaged: it does not parse.
    """
    path = folder / INDEX
    if not path.is_file():
        raise ValueError(
            f"{folder} has no {INDEX}: it is no folder of shards, or was never finished; write it anew"
        )
    try:
        document = json.loads(path.read_bytes())
        found = document["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{path} does not read as an index of shards; write the shards anew") from error
    if found != FORMAT:
        raise ValueError(f"{path} has format {found!r}, this program reads {FORMAT}; write the shards anew")
    try:
        return ShardIndex(**document)
    except ValidationError as error:
        raise Damaged(f"{path}: {explain(error, ShardIndex)}; write the shards anew") from None


def check_file(entry: StoredFile, folder: Path, is_thorough: bool) -> Path:
    """The path of a file that the index names, once its size (and, thorough, its bytes) are those recorded.

    Raises:
        Damaged: it is missing, has another size, or other bytes.
    """
    path = folder / entry.file
    if not path.is_file():
        raise Damaged(f"{path} is missing; write the shards anew")
    if (size := path.stat().st_size) != entry.size:
        raise Damaged(f"{path} has {size} bytes, the index says {entry.size}; write the shards anew")
    if is_thorough and file_digest(path) != entry.sha256:
        raise Damaged(f"{path} is damaged: its SHA-256 is not the one in the index; write the shards anew")
    return path


def write_token_bytes(lengths: NDArray[Any], folder: Path) -> StoredFile:
    """How many bytes of text each token id stands for, (V,), so that any stretch of tokens has a size."""
    path = folder / TOKEN_BYTES
    np.save(path, lengths.astype("<u4"))
    return stored(path)


def read_token_bytes(path: Path) -> NDArray[np.int64]:
    """What `write_token_bytes` wrote, (V,)."""
    return np.load(path, allow_pickle=False).astype(np.int64)


def write_offsets(spans: Sequence[DocumentSpan], path: Path) -> StoredFile:
    """Write where in the stream each document begins and the last one ends, (documents + 1,)."""
    np.save(path, np.cumsum([0, *(span.num_tokens for span in spans)], dtype="<i8"))
    return stored(path)


def write_documents(spans: Iterable[DocumentSpan], path: Path) -> StoredFile:
    """Write a side's table of documents, in the order of its stream."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {name: pa.string() if kind is str else pa.int64() for name, kind in _FIELDS.items()}
    columns = list(zip(*spans, strict=True)) or [()] * len(types)
    table = pa.table(dict(zip(types, columns, strict=True)), schema=pa.schema(list(types.items())))
    pq.write_table(table, path, compression="zstd", row_group_size=65_536)
    return stored(path)


def read_documents(path: Path) -> list[DocumentSpan]:
    """What `write_documents` wrote."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:  # without what `read_table` imports for folders of files
        columns = file.read(list(_FIELDS)).to_pydict()
    return [DocumentSpan(*row) for row in zip(*columns.values(), strict=True)]
