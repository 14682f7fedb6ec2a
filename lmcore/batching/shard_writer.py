"""Encodes one side of a corpus and writes its token stream, cut into files of equal length."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lmcore.batching import shard_index
from lmcore.batching.settings import ShardsConfig
from lmcore.batching.shard_index import CORPUS_COLUMNS, DocumentSpan, ShardFile, SideIndex
from lmcore.tokenizers.texts import read_batches
from lmcore.tokenizers.tokenizer import Tokenizer

Progress = Callable[[int, int], None]
"""Told how many documents are done, and how many there are."""
BATCHES_AHEAD = 2


class Counter:
    """Counts documents over all sides and passes the count on."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def add(self, number: int) -> None:
        """So many more are done."""
        self.done += number
        if self.progress:
            self.progress(self.done, self.total)


def choose_dtype(config: ShardsConfig, vocab_size: int) -> np.dtype[Any]:
    """The smallest type that holds every id, or the one that was asked for.

    Raises:
        ValueError: the ids do not fit into the type that was asked for.
    """
    fits_two_bytes = vocab_size <= 1 << 16
    if config.dtype == "uint16" and not fits_two_bytes:
        raise ValueError(
            f"dtype uint16 holds 65536 token ids, the tokenizer has {vocab_size}: set dtype to auto"
        )
    if config.dtype == "auto":
        return np.dtype("<u2" if fits_two_bytes else "<u4")
    return np.dtype("<u2" if config.dtype == "uint16" else "<u4")


def write_side(
    corpus: Path,
    side: str,
    encoder: Tokenizer,
    out: Path,
    dtype: np.dtype[Any],
    shard_tokens: int,
    done: Counter,
) -> SideIndex:
    """Write the shards and the table of documents of one side; memory is bound by a batch and the table."""
    spans: list[DocumentSpan] = []
    writer = _ShardWriter(out, side, dtype, shard_tokens)
    for batch, tokens, lengths in _encode_ahead(corpus, side, encoder, dtype):
        spans += _spans(batch, tokens, lengths, encoder.token_bytes, writer.num_tokens)
        writer.append(tokens)
        done.add(len(lengths))
    return SideIndex(
        documents=len(spans),
        tokens=writer.num_tokens,
        bytes=sum(span.num_bytes for span in spans),
        shards=writer.finish(),
        offsets=shard_index.write_offsets(spans, out / f"{side}-offsets.npy"),
        document_table=shard_index.write_documents(spans, out / f"{side}-documents.parquet"),
    )


def _encode_ahead(
    corpus: Path, side: str, encoder: Tokenizer, dtype: np.dtype[Any]
) -> Iterator[tuple[dict[str, list[Any]], NDArray[Any], NDArray[np.int64]]]:
    """The batches of a side with their tokens, in order; the next two are encoded while one is written.

    The encoder's threads leave the interpreter free, so that its work and ours keep all cores busy.
    """
    with ThreadPoolExecutor(BATCHES_AHEAD) as workers:
        waiting: deque[tuple[dict[str, list[Any]], Future[tuple[NDArray[Any], NDArray[np.int64]]]]] = deque()
        for batch in read_batches(corpus, side, (*CORPUS_COLUMNS, "text")):
            waiting.append((batch, workers.submit(encode_documents, encoder, batch["text"], dtype)))
            if len(waiting) > BATCHES_AHEAD:
                first, encoded = waiting.popleft()
                yield first, *encoded.result()
        for first, encoded in waiting:
            yield first, *encoded.result()


def encode_documents(
    encoder: Tokenizer, texts: list[str], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """All documents' tokens in one row, each with its end-of-text token, and how many each has, (N,)."""
    row, lengths = encoder.encode_documents(texts)
    return row.astype(dtype), lengths


def _spans(
    batch: dict[str, list[Any]],
    tokens: NDArray[Any],
    lengths: NDArray[np.int64],
    token_bytes: NDArray[np.int64],
    first_token: int,
) -> Iterator[DocumentSpan]:
    """Where each document of a batch lies; proves on the way that its tokens spell all of its bytes."""
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    spelled = np.add.reduceat(token_bytes[tokens], starts).tolist()
    rows = zip(*(batch[name] for name in CORPUS_COLUMNS), strict=True)
    for row, text, start, length, num_bytes in zip(
        rows, batch["text"], starts.tolist(), lengths.tolist(), spelled, strict=True
    ):
        if num_bytes != len(text.encode()):
            raise ValueError(
                f"document {row[0]} has {len(text.encode())} bytes, its tokens spell {num_bytes}: "
                "the tokenizer loses text; use a byte-level one without a normaliser"
            )
        yield DocumentSpan(*(*row, first_token + start, length, num_bytes))


class _ShardWriter:
    """Appends tokens to the files of a side; each file but the last has exactly shard_tokens."""

    def __init__(self, folder: Path, side: str, dtype: np.dtype[Any], shard_tokens: int) -> None:
        self.folder, self.side, self.dtype, self.shard_tokens = folder, side, dtype, shard_tokens
        self.num_tokens = 0
        self._shards: list[ShardFile] = []
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()

    def append(self, tokens: NDArray[Any]) -> None:
        """Write tokens, going on to the next file where one is full."""
        while len(tokens):
            if self._file is None:
                self._open()
            room = self.shard_tokens - self.num_tokens % self.shard_tokens
            self._write(tokens[:room])
            tokens = tokens[room:]
            if self.num_tokens % self.shard_tokens == 0:
                self._close()

    def finish(self) -> tuple[ShardFile, ...]:
        """Close the last file; the entries of all."""
        if self._file is not None:
            self._close()
        return tuple(self._shards)

    def _open(self) -> None:
        self._path = self.folder / f"{self.side}-{len(self._shards):05d}.bin"
        self._file = self._path.open("wb")
        self._hash = hashlib.sha256()

    def _write(self, tokens: NDArray[Any]) -> None:
        assert self._file is not None
        data = tokens.astype(self.dtype, copy=False).tobytes()
        self._file.write(data)
        self._hash.update(data)
        self.num_tokens += len(tokens)

    def _close(self) -> None:
        assert self._file is not None
        size = self._file.tell()
        self._file.close()
        self._file = None
        self._shards.append(
            ShardFile(
                file=self._path.name,
                size=size,
                sha256=self._hash.hexdigest(),
                tokens=size // self.dtype.itemsize,
            )
        )
